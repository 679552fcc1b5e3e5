"""Photos as .bin files: what the tests of each step share."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from exporters.bins.files import load_input, load_mask
from exporters.bins.index import read_index
from mattingjax.data.folders import FileDataset
from mattingjax.evaluation import Folders
from mattingjax.evaluation.metrics import mad
from mattingjax.inference.signature import Signature
from mattingjax.networks import Preprocessing
from tests.conftest import run_module

SIZE = 32
NAMES = ['a', 'b', 'c d']


def pair_photos(images: Path, alphas: Path) -> FileDataset:
    return Folders(images=images, alphas=alphas).open()


def compose_photos(foregrounds: Path, backgrounds: Path, seed: int) -> FileDataset:
    return Folders(foregrounds=foregrounds, backgrounds=backgrounds, seed=seed).open()


def some(dataset: FileDataset, every: int) -> FileDataset:
    return dataclasses.replace(dataset, entries=dataset.entries[::every])


def bins(*arguments):
    return run_module('exporters.bins', *arguments)


def signature(**changes) -> Signature:
    preprocessing = Preprocessing((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), 'exact', 16)
    fields = {
        'input_name': 'input',
        'output_name': 'output',
        'shape': (1, SIZE, SIZE, 3),
        'dtype': 'float32',
        'scaling_inside': True,
        'colour_order': 'RGB',
        'resize_inside': False,
        'input_size': SIZE,
        'preprocessing': preprocessing,
    }
    return Signature(**fields | changes)


def write_manifest(folder, **changes):
    """An artefact as far as `prepare` looks at it: a file, and its signature beside it."""
    folder.mkdir(exist_ok=True)
    content = {'artefacts': {'model.onnx': {'signature': signature(**changes).to_dict()}}}
    (folder / 'manifest.json').write_text(json.dumps(content))
    (folder / 'model.onnx').touch()
    return folder / 'model.onnx'


def evaluate(prepared, outputs, *arguments):
    return bins('evaluate', '--output', outputs, '--index', prepared, *arguments)


def mean_mad(prepared, predict) -> float:
    """The mean absolute difference of a function of inputs, computed without the loop."""
    index = read_index(prepared)
    return np.mean(
        [
            mad(
                np.asarray(predict(load_input(prepared, item, index.layout)))[0, ..., 0],
                load_mask(prepared, item, index.layout)[0, ..., 0],
            )
            for item in index.items
        ]
    )
