"""Exports in eight bits: calibrated, measured in every runtime, refused if they lose too much."""

import json

import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor
from mattingjax.images import load_image, resize
from tests.conftest import require_export_tools

# What each file of an export in eight bits is measured in.
RUNTIMES = {
    'model_int8.onnx': {'onnxruntime', 'openvino'},
    'model_int8.xml': {'openvino'},
    'model_int8.tflite': {'litert'},
}


@pytest.fixture(scope='module')
def calibration(mmnet, tmp_path_factory):
    """Folders of four photos and of what the network makes of them."""
    folder = tmp_path_factory.mktemp('calibration')
    rows, columns = np.mgrid[0:80, 0:100]
    for name in ('images', 'alphas'):
        (folder / name).mkdir()
    for i in range(4):
        waves = np.sin(rows / (5 + 2 * i))[..., None] * np.cos(columns[..., None] / [7 + i, 11, 13])
        photo = (127 + 80 * waves).astype(np.uint8)
        Image.fromarray(photo).save(folder / 'images' / f'{i}.png')
        small = resize(photo.astype(np.float32), 64, 64)
        alpha = np.asarray(mmnet.apply(small[None])['alpha'])[0, :, :, 0]
        pixels = np.round(255 * resize(alpha, 80, 100).clip(0, 1)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / 'alphas' / f'{i}.png')
    return folder


def make_options(calibration, **changes):
    from exporters.export import ExportOptions

    return ExportOptions(
        **{
            'formats': ('onnx', 'openvino', 'litert'),
            'precisions': ('int8',),
            'calibration_images': calibration / 'images',
            'calibration_alphas': calibration / 'alphas',
            'max_mad_drop': 0.05,
            'photos': (calibration / 'images' / '0.png',),
            **changes,
        }
    )


@pytest.fixture(scope='module')
def folder(mmnet_path, calibration, tmp_path_factory):
    require_export_tools()
    from exporters.export import export_checkpoint

    folder = tmp_path_factory.mktemp('exports') / 'int8'
    export_checkpoint(mmnet_path, folder, make_options(calibration))
    return folder


def test_each_file_is_measured_by_all_that_read_it(folder):
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert set(manifest['artefacts']) == set(RUNTIMES)
    for name, runtimes in RUNTIMES.items():
        entry = manifest['artefacts'][name]
        assert entry['precision'] == 'int8'
        assert set(entry['loss']) == runtimes
        for loss in entry['loss'].values():
            assert loss['photos'] == 4
            assert 0 < loss['difference'] < 0.01
            assert loss['mad'] - loss['network_mad'] <= 0.05
        assert entry['in_floating_point']
    assert manifest['artefacts']['model_int8.onnx']['share_of_convolutions_in_int8'] > 0.9


@pytest.mark.parametrize('name', RUNTIMES)
def test_predictors_run_them(folder, mmnet_path, calibration, name):
    photo = load_image(calibration / 'images' / '2.png')
    expected = create_predictor(mmnet_path)(photo)
    alpha = create_predictor(folder / name)(photo)
    assert np.abs(alpha - expected).mean() < 0.01


def test_the_weights_of_the_ir_are_a_quarter_and_the_photo_has_its_levels(folder):
    from mattingjax.process.packages import import_openvino

    model = import_openvino().Core().read_model(str(folder / 'model_int8.xml'))
    kinds = [
        node.input_value(0).get_element_type().get_type_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == 'Convert'
    ]
    assert set(kinds) == {'i8'}
    first = next(node for node in model.get_ordered_ops() if node.get_type_name() == 'FakeQuantize')
    bounds = [float(first.input_value(i).get_node().data.reshape(-1)[0]) for i in range(1, 5)]
    assert bounds == [0, 255, 0, 255]


def test_what_loses_too_much_is_refused_with_the_figures(mmnet_path, calibration, tmp_path):
    require_export_tools()
    from exporters.export import export_checkpoint
    from exporters.verify import VerificationError

    options = make_options(calibration, formats=('onnx',), max_mad_drop=1e-9)
    with pytest.raises(VerificationError, match=r'at most 0\.00000, found 0\.0\d+ \(MAD 0\.'):
        export_checkpoint(mmnet_path, tmp_path / 'out', options)
    assert not (tmp_path / 'out').exists()


def test_a_quantised_map_is_read_by_all_in_eight_bits():
    """Two convolutions that are joined and summed up: one step for both, no map in float32."""
    require_export_tools()
    import onnx

    from exporters import openvino_int8
    from exporters.openvino_ir import convert_onnx

    rng = np.random.default_rng(0)

    def weights(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    constants = {
        'a': weights(8, 3, 3, 3), 'b': 9 * weights(8, 3, 3, 3), 'c': weights(1, 16, 3, 3),
    }  # fmt: skip
    make = onnx.helper.make_node
    nodes = [
        make('Transpose', ['x'], ['photo'], perm=[0, 3, 1, 2]),
        make('Conv', ['photo', 'a'], ['from_a'], pads=[1] * 4),
        make('Conv', ['photo', 'b'], ['from_b'], pads=[1] * 4),
        make('Concat', ['from_a', 'from_b'], ['joined'], axis=1),
        make('Conv', ['joined', 'c'], ['last'], pads=[1] * 4),
        make('Transpose', ['last'], ['y'], perm=[0, 2, 3, 1]),
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 32, 32, channels])
        for name, channels in (('x', 3), ('y', 1))
    ]
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = onnx.helper.make_graph(nodes, 'test', ends[:1], ends[1:], tensors)
    opsets = [onnx.helper.make_opsetid('', 17)]
    exact = convert_onnx(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    )
    photos = [rng.integers(0, 256, (1, 32, 32, 3)).astype(np.float32) for _ in range(3)]
    model = openvino_int8.quantize_ir(exact, photos)
    assert openvino_int8.list_float_operations(model) == []
    joined = [
        value.get_node()
        for node in model.get_ordered_ops()
        if node.get_type_name() == 'Concat'
        for value in node.input_values()
    ]
    assert {node.get_type_name() for node in joined} == {'FakeQuantize'}
    bounds = {float(node.input_value(2).get_node().data.reshape(-1)[0]) for node in joined}
    assert len(bounds) == 1
    # Rounded anew: no kernel's sum is off by more than half a step.
    kernels = {
        node.get_friendly_name(): node.input_value(1).get_node()
        for node in model.get_ordered_ops()
        if node.get_type_name() == 'Convolution'
    }
    exact_kernels = {
        node.get_friendly_name(): node.input_value(1).get_node().data
        for node in exact.get_ordered_ops()
        if node.get_type_name() == 'Convolution'
    }
    for name, scaled in kernels.items():
        converted, step = (value.get_node() for value in scaled.input_values())
        steps = converted.input_value(0).get_node().data.astype(np.float64)
        sums = (exact_kernels[name] / step.data).sum(axis=(2, 3))
        assert np.abs(steps.sum(axis=(2, 3)) - sums).max() < 0.501, name
