"""Exports that several test files look at; each is made once."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mattingjax import Checkpoint
from tests.conftest import require_export_tools


@dataclasses.dataclass(frozen=True)
class Export:
    folder: Path
    manifest: dict[str, Any]
    checkpoint: Checkpoint


@pytest.fixture(scope='session')
def photo_path(tmp_path_factory) -> Path:
    """A smooth picture with noise in it, 80x100."""
    rows, columns = np.mgrid[0:80, 0:100]
    waves = 127 + 80 * np.sin(rows / 9)[..., None] * np.cos(columns[..., None] / [7, 11, 13])
    pixels = waves + np.random.default_rng(0).uniform(-40, 40, (80, 100, 3))
    path = tmp_path_factory.mktemp('photo') / 'waves.png'
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope='session')
def modnet_export(modnet, modnet_path, photo_path, tmp_path_factory) -> Export:
    """Every kind of artefact."""
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint

    folder = tmp_path_factory.mktemp('exports') / 'modnet'
    options = ExportOptions(
        precisions=('fp32', 'fp16'), embed_preprocessing='BGR', photos=(photo_path,)
    )
    return Export(folder, export_checkpoint(modnet_path, folder, options), modnet)


@pytest.fixture(scope='session')
def mmnet_export(mmnet, mmnet_path, photo_path, tmp_path_factory) -> Export:
    """Not square, two images at once, other names, scaled by whoever feeds it."""
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint

    folder = tmp_path_factory.mktemp('exports') / 'mmnet'
    options = ExportOptions(
        height=48,
        width=80,
        batch_size=2,
        scaling_inside=False,
        input_name='input_x',
        output_name='alpha',
        photos=(photo_path,),
    )
    return Export(folder, export_checkpoint(mmnet_path, folder, options), mmnet)
