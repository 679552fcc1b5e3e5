"""A network, photos, and what each step of the loop makes of them."""

import numpy as np
import pytest
from PIL import Image

from exporters.bins.files import load_mask
from exporters.bins.index import create_layout, read_index
from exporters.bins.preparation import prepare_bins
from tests.exporters.bins.photos import NAMES, SIZE, pair_photos, write_manifest


@pytest.fixture(scope='session')
def brightness(tmp_path_factory):
    """A network whose alpha is the brightness of the photo."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    from onnx import TensorProto, helper

    path = write_manifest(tmp_path_factory.mktemp('brightness'))
    graph = helper.make_graph(
        [
            helper.make_node('ReduceMean', ['input', 'axes'], ['mean'], keepdims=1),
            helper.make_node('Div', ['mean', 'top'], ['output']),
        ],
        'brightness',
        [helper.make_tensor_value_info('input', TensorProto.FLOAT, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info('output', TensorProto.FLOAT, [1, SIZE, SIZE, 1])],
        [
            helper.make_tensor('axes', TensorProto.INT64, [1], [3]),
            helper.make_tensor('top', TensorProto.FLOAT, [], [255]),
        ],
    )
    opset = helper.make_opsetid('', 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


@pytest.fixture
def dataset(tmp_path):
    """Photos and alphas of several sizes."""
    rng = np.random.default_rng(0)
    for folder in ('photos', 'mattes'):
        (tmp_path / folder).mkdir()
    for i, name in enumerate(NAMES):
        size = 40 + 9 * i, 70 - 21 * i
        photo = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / 'photos' / f'{name}.png')
        alpha = rng.integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(alpha).save(tmp_path / 'mattes' / f'{name}.tif')
    return tmp_path


@pytest.fixture
def prepared(dataset):
    """The dataset as .bin files, and where."""
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    prepare_bins(samples, create_layout(height=SIZE, width=SIZE), dataset / 'bins')
    return dataset / 'bins'


@pytest.fixture
def outputs(prepared):
    """Results for the dataset: its own masks, a little darker, of two runs."""
    index = read_index(prepared)
    for stamp, factor in (('20260101_235959_9', 0.5), ('20260101_235959_10', 0.9)):
        folder = prepared.parent / 'outputs' / stamp
        folder.mkdir(parents=True)
        for item in index.items:
            mask = load_mask(prepared, item, index.layout)
            (folder / f'{item.name}_output_0.bin').write_bytes((mask * factor).tobytes())
    return prepared.parent / 'outputs'


@pytest.fixture
def cutouts(tmp_path):
    """Transparent pictures with soft edges, and backgrounds; fewer of them."""
    rng = np.random.default_rng(1)
    for folder in ('cutouts', 'places'):
        (tmp_path / folder).mkdir()
    for name in 'vwxyz':
        rgba = rng.integers(0, 256, (50, 60, 4), dtype=np.uint8)
        Image.fromarray(rgba).save(tmp_path / 'cutouts' / f'{name}.png')
    for i in range(2):
        place = rng.integers(0, 256, (70, 50 + i, 3), dtype=np.uint8)
        Image.fromarray(place).save(tmp_path / 'places' / f'{i}.png')
    return tmp_path
