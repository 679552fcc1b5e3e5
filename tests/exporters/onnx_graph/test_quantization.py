"""INT8 ONNX of whole networks: nearly the same alpha, in 8 bits, in every runtime that reads it."""

import collections

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from exporters.onnx_graph import conversion
from exporters.onnx_graph.quantization import quantize_onnx
from exporters.precision.calibration import MAX_PHOTOS
from exporters.precision.rounding import LARGEST, LARGEST_OF_PHOTO
from mattingjax.errors import MattingError
from mattingjax.images import load_srgb, resize
from mattingjax.inference.sessions import create_session
from tests.exporters.onnx_graph.models import make_model, named, onnx, random


def fixed(path, shape):
    """An exported model of any size, as it was before: of one size."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        for side, size in zip(value.type.tensor_type.shape.dim[:3], shape, strict=True):
            side.Clear()
            side.dim_value = size
    return model


def photos(path, shape, count):
    """The photo of the exports, turned and mirrored."""
    batch, height, width = shape
    photo = np.round(resize(load_srgb(path).astype(np.float32), height, width))
    turned = [photo, photo[:, ::-1], photo[::-1], 255 - photo]
    return [np.clip(np.stack([turned[i % 4]] * batch), 0, 255) for i in range(count)]


@pytest.fixture(scope='module')
def modnet_int8(modnet_export, photo_path, tmp_path_factory):
    """The quantised network's file, what is said of it, float model and a photo."""
    shape = (1, 64, 64)
    model = fixed(modnet_export.folder / 'model_dynamic.onnx', shape)
    before = model.SerializeToString()
    images = photos(photo_path, shape, 4)
    quantised, description = quantize_onnx(model, images)
    assert model.SerializeToString() == before
    path = tmp_path_factory.mktemp('int8') / 'model_int8.onnx'
    path.write_bytes(conversion.finish_onnx(quantised, {'mattingjax': '{"a": 1}'}))
    return path, description, modnet_export.folder / 'model.onnx', images[0]


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_the_alpha_stays(modnet_int8, runtime):
    path, _, exact, photo = modnet_int8
    expected = create_session(exact, 'onnxruntime')(photo)
    session = create_session(path, runtime)
    alpha = session(photo)
    assert alpha.dtype == np.float32
    assert alpha.shape == expected.shape
    assert 0 < np.abs(alpha - expected).mean() < 0.02
    assert session.metadata == '{"a": 1}' or runtime == 'openvino'


def test_opencv_reads_it(modnet_int8):
    import cv2

    path, _, exact, photo = modnet_int8
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(photo)
    expected = create_session(exact, 'onnxruntime')(photo)
    assert np.abs(network.forward() - expected).mean() < 0.02


def test_what_stays_in_floating_point_is_told(modnet_int8):
    path, description, _, _ = modnet_int8
    model = onnx.load(path)
    assert {item.domain: item.version for item in model.opset_import} == {'': conversion.OPSET}
    producers = {name: node for node in model.graph.node for name in node.output}
    floating = collections.defaultdict(list)
    for node in model.graph.node:
        source = producers.get(node.input[0])
        if node.op_type == 'Conv' and (source is None or source.op_type != 'DequantizeLinear'):
            floating[node.op_type].append(node.name)
    assert floating['Conv'] == description['in_floating_point']['Conv']
    assert len(floating['Conv']) == 1  # the last, whose output is nearly the alpha
    assert description['in_floating_point']['Sigmoid']
    assert 0.95 < description['share_of_convolutions_in_int8'] < 1
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    kernels = [
        constants[producers[node.input[1]].input[0]].data_type
        for node in model.graph.node
        if node.op_type == 'Conv' and node.name not in floating['Conv']
    ]
    assert set(kernels) == {onnx.TensorProto.INT8}


def test_what_stays_in_float_keeps_its_weights(modnet_int8):
    def kernels(path):
        model = onnx.load(path)
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        return {
            node.name: onnx.numpy_helper.to_array(constants[node.input[1]])
            for node in model.graph.node
            if node.op_type == 'Conv' and node.input[1] in constants
        }

    path, description, exact, _ = modnet_int8
    (name,) = description['in_floating_point']['Conv']
    np.testing.assert_array_equal(kernels(path)[name], kernels(exact)[name])


def test_convolutions_of_the_photo_have_half_of_the_steps(modnet_int8):
    """Two products of a bright photo's pixels then fit into sixteen bits."""
    model = onnx.load(modnet_int8[0])
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    photo, largest = {model.graph.input[0].name}, {True: [], False: []}
    for node in model.graph.node:
        if node.op_type == 'Conv':
            source = producers.get(node.input[1])
            if source is not None:  # the last one's weights are constants
                steps = onnx.numpy_helper.to_array(constants[source.input[0]])
                largest[node.input[0] in photo].append(np.abs(steps.astype(int)).max())
        elif photo.intersection(node.input):
            photo.update(node.output)
    assert len(largest[True]) >= 2  # of the backbone and of the detail branch
    assert set(largest[True]) == {LARGEST_OF_PHOTO}
    assert set(largest[False]) == {LARGEST}


def test_ranges_are_means_over_the_photos():
    nodes = [
        onnx.helper.make_node('Transpose', ['x'], ['first'], name='first', perm=(0, 3, 1, 2)),
        named('Conv', ['first', 'kernel'], 'a', pads=[1] * 4),
        named('Relu', ['a'], 'b'),
        named('Conv', ['b', 'other'], 'c'),
        named('Conv', ['c', 'last'], 'd'),
        onnx.helper.make_node('Transpose', ['d'], ['y'], name='y', perm=(0, 2, 3, 1)),
    ]
    constants = {
        'kernel': random(8, 3, 3, 3), 'other': random(4, 8, 1, 1), 'last': random(1, 4, 1, 1)
    }  # fmt: skip
    shape = (1, 8, 8, 3)
    model = make_model(nodes, {'x': shape, 'y': (1, 8, 8, 1)}, constants)
    dark = np.abs(random(*shape))

    def steps(*images):
        quantised, _ = quantize_onnx(model, images)
        constants = {tensor.name: tensor for tensor in quantised.graph.initializer}
        names = [node.input[1] for node in quantised.graph.node if node.op_type == 'QuantizeLinear']
        assert len(names) >= 3
        return [float(onnx.numpy_helper.to_array(constants[name])) for name in names]

    np.testing.assert_allclose(steps(dark, 3 * dark), 2 * np.array(steps(dark)), rtol=1e-5)


def test_batches_and_other_names(mmnet_export, photo_path, tmp_path):
    """Of two images at once, scaled by whoever feeds it."""
    shape = (2, 48, 80)
    model = fixed(mmnet_export.folder / 'model_dynamic.onnx', shape)
    images = [photo / 255 for photo in photos(photo_path, shape, 3)]
    quantised, _ = quantize_onnx(model, images)
    alphas = []
    for name, made in (('exact', model), ('int8', quantised)):
        path = tmp_path / f'{name}.onnx'
        path.write_bytes(conversion.finish_onnx(made, {}))
        session = create_session(path, 'onnxruntime')
        assert session.input_name == 'input_x'
        alphas.append(session(images[0]))
    assert alphas[1].shape == (2, 48, 80, 1)
    assert 0 < np.abs(alphas[0] - alphas[1]).mean() < 0.02


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        ([], f'expected 1 to {MAX_PHOTOS} photos, found 0'),
        ([np.zeros((1, 48, 80, 3), np.float32)] * 301, 'found 301'),
        ([np.zeros((1, 48, 64, 3), np.float32)], r'expected float32 \[1, 48, 80, 3\], found'),
        ([np.zeros((1, 48, 80, 3), np.uint8)], r'found uint8 \[1, 48, 80, 3\]'),
    ],
)
def test_images_that_do_not_fit_are_told(images, message):
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 48, 80, 3])
        for name in ('input', 'output')
    ]
    node = onnx.helper.make_node('Sigmoid', ['input'], ['output'])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], 'test', ends[:1], ends[1:]))
    with pytest.raises(MattingError, match=message) as caught:
        quantize_onnx(model, images)
    assert len(str(caught.value)) < 300
