"""What damaged artefacts of every kind have in common."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax import create_predictor
from mattingjax.inference.signature import MANIFEST_FILE, Signature
from mattingjax.networks import create_model_config
from tests.fuzz.mutations import mutate_json, nested
from tests.fuzz.pictures import check_alpha

SIDE = 32
SHAPE = (1, SIDE, SIDE, 3)


def signature(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        'input_name': 'input',
        'output_name': 'output',
        'shape': SHAPE,
        'dtype': 'float32',
        'scaling_inside': True,
        'colour_order': 'RGB',
        'resize_inside': False,
        'input_size': SIDE,
        'preprocessing': create_model_config('mmnet').preprocessing,
    }
    return json.loads(json.dumps(Signature(**{**values, **changes}).to_dict()))


def write_manifest(folder: Path, name: str, content: Any = None) -> None:
    content = content or {'artefacts': {name: {'signature': signature()}}}
    (folder / MANIFEST_FILE).write_text(json.dumps(content))


def damage_manifest(rng: np.random.Generator, folder: Path, name: str) -> None:
    """The manifest is another, one time in three; nested too deeply, one in three of these."""
    choice = rng.integers(9)
    if choice < 2:
        content = {'artefacts': {name: {'signature': signature()}}}
        write_manifest(folder, name, mutate_json(rng, content))
    elif choice == 2:
        (folder / MANIFEST_FILE).write_text(nested(rng, '{"artefacts":', '}'))


def use_artefact(path: Path, runtime: str | None = None) -> None:
    predictor = create_predictor(path, runtime)
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    check_alpha(predictor(image), image.shape[:2])
