"""The loop of .bin files: an index, inputs, masks and outputs of which something is wrong."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from exporters.bins.evaluation import evaluate_bins
from exporters.bins.files import load_mask
from exporters.bins.index import create_layout, read_index
from exporters.bins.outputs import find_outputs
from exporters.bins.preparation import prepare_bins
from mattingjax.evaluation import Folders
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import TEXTS, hostile_number, mutate_bytes, mutate_json, nested

_SIDE = 16


def write_samples(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, shape in (('photos', (20, 30, 3)), ('alphas', (20, 30))):
        (folder / kind).mkdir()
        for name in ('a', 'b'):
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / kind / f'{name}.png')
    samples = Folders(images=folder / 'photos', alphas=folder / 'alphas').open()
    prepared = folder / 'bins'
    index = prepare_bins(samples, create_layout(height=_SIDE, width=_SIDE), prepared)
    outputs = folder / 'outputs' / '20260101_000000'
    outputs.mkdir(parents=True)
    for item in index.items:
        mask = load_mask(prepared, item, index.layout)
        (outputs / f'{item.name}_output_0.bin').write_bytes(mask.tobytes())


def make_bins(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    for part in ('bins', 'outputs'):
        shutil.copytree(samples / part, folder / part)
    choice = rng.integers(4)
    if choice < 2:
        _damage_index(rng, folder / 'bins')
    elif choice == 2:
        _damage_output(rng, folder / 'outputs' / '20260101_000000')
    else:
        _damage_values(rng, folder / 'bins')


def _damage_index(rng: np.random.Generator, prepared: Path) -> None:
    path = prepared / 'index.json'
    text = json.dumps(mutate_json(rng, json.loads(path.read_text())))
    if rng.integers(8) == 0:
        text = nested(rng, '{"layout":', '}')
    content = text.encode('utf-8', 'surrogatepass')
    path.write_bytes(mutate_bytes(rng, content) if rng.integers(4) == 0 else content)


def _damage_output(rng: np.random.Generator, outputs: Path) -> None:
    files = sorted(outputs.iterdir())
    file = files[rng.integers(len(files))]
    choice = rng.integers(4)
    if choice == 0:
        file.write_bytes(mutate_bytes(rng, file.read_bytes()))
    elif choice == 1:
        values = np.frombuffer(file.read_bytes(), np.float32).copy()
        with np.errstate(over='ignore'):
            values[rng.integers(values.size)] = np.float32(min(float(hostile_number(rng)), 1e300))
        file.write_bytes(values.tobytes())
    elif choice == 2:
        text = ' '.join(str(hostile_number(rng)) for _ in range(_SIDE * _SIDE)) + ' '
        file.unlink()
        file.with_suffix('.txt').write_bytes(mutate_bytes(rng, text.encode()))
    else:
        name = (
            TEXTS[rng.integers(len(TEXTS))]
            .encode('utf-8', 'replace')[:200]
            .decode('utf-8', 'ignore')
        )
        file.rename(outputs / (name.replace('/', '_').replace('\0', '_') + '_output_0.bin'))


def _damage_values(rng: np.random.Generator, prepared: Path) -> None:
    """Values of an input or a mask are wrong, and the index says that this is what was written."""
    path = prepared / 'index.json'
    index = json.loads(path.read_text())
    item, kind = index['items'][rng.integers(2)], ('image', 'mask')[rng.integers(2)]
    file = prepared / item[f'{kind}_file']
    values = np.frombuffer(file.read_bytes(), np.float32).copy()
    with np.errstate(over='ignore'):
        values[rng.integers(values.size)] = np.float32(min(float(hostile_number(rng)), 1e300))
    content = values.tobytes() if rng.integers(3) else mutate_bytes(rng, values.tobytes())
    file.write_bytes(content)
    item[f'{kind}_sha256'] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(index))


def use_bins(folder: Path) -> None:
    prepared = folder / 'bins'
    index = read_index(prepared)
    outputs = find_outputs(folder / 'outputs')
    evaluation = evaluate_bins(outputs, prepared, index, channels=1, dtype='float32')
    for metric, value in evaluation.report.means.items():
        if not math.isfinite(value) or value < 0:
            raise MalformedError(f'{metric} is {value}')
