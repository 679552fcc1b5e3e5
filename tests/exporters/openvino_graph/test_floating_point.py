"""What of an IR in eight bits is told to be in float32."""

import numpy as np
import pytest

from tests.conftest import require_export_tools

SIZE = (1, 2, 4, 4)


@pytest.fixture
def opset():
    require_export_tools()
    from mattingjax.process.packages import import_openvino

    return import_openvino().opset13


def quantize(opset, value):
    ends = [np.full((1, 1, 1, 1), end, np.float32) for end in (0, 1, 0, 1)]
    return opset.fake_quantize(value, *ends, 256)


def convolve(opset, value, name, bits=8):
    weights = np.ones((2, value.shape[1], 1, 1), np.int8 if bits == 8 else np.float32)
    kernel = opset.constant(weights)
    if bits == 8:
        kernel = opset.multiply(opset.convert(kernel, 'f32'), np.float32(0.5))
    return opset.convolution(value, kernel, [1, 1], [0, 0], [0, 0], [1, 1], name=name)


def list_of(*results, parameters):
    from exporters.openvino_graph.floating_point import list_float_operations
    from mattingjax.process.packages import import_openvino

    return list_float_operations(import_openvino().Model(list(results), parameters))


# What lies between a quantised map and the convolution that reads it: function of opset and map.
BETWEEN = {
    'nothing': lambda opset, x: x,
    'Concat': lambda opset, x: opset.concat([x, opset.transpose(x, [0, 1, 3, 2])], 1),
    'MaxPool': lambda opset, x: opset.max_pool(
        x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], 'floor', 'explicit', 'i64', 0
    ).output(0),
    'Reshape': lambda opset, x: opset.reshape(x, np.int64([1, 4, 2, 4]), False),
    'Slice': lambda opset, x: opset.slice(x, [1], [3], [1], [2]),
    'Split': lambda opset, x: opset.split(x, 2, 2).output(1),
    'VariadicSplit': lambda opset, x: opset.variadic_split(x, 2, [1, 3]).output(1),
}  # fmt: skip


@pytest.mark.parametrize('kind', BETWEEN)
def test_convolutions_compute_in_what_their_weights_are_in(opset, kind):
    x = opset.parameter(SIZE, np.float32)
    value = BETWEEN[kind](opset, quantize(opset, x))
    results = convolve(opset, value, 'eight'), convolve(opset, value, 'whole', bits=32)
    assert list_of(*results, parameters=[x]) == {'Convolution': ['whole']}


@pytest.mark.parametrize('kind', BETWEEN)
def test_nncf_quantises_the_weights_of_what_reads_a_quantised_map(opset, kind):
    from exporters.openvino_graph.floating_point import list_float_operations
    from exporters.openvino_graph.quantization import quantize_ir
    from mattingjax.process.packages import import_openvino

    x = opset.parameter(SIZE, np.float32)
    value = BETWEEN[kind](opset, convolve(opset, x, 'first', bits=32))
    model = import_openvino().Model([convolve(opset, value, 'second', bits=32)], [x])
    images = np.random.default_rng(0).uniform(-1, 1, (3, *SIZE)).astype(np.float32)
    quantized = quantize_ir(model, list(images), is_photo=False)
    assert list_float_operations(quantized) == {}
    assert list_float_operations(model) == {'Convolution': ['first', 'second']}


def test_maps_alone_count(opset):
    """Not what is computed once for a photo, nor the weights that are multiplied by their step."""
    x = opset.parameter(SIZE, np.float32)
    mean = opset.reduce_mean(quantize(opset, x), np.int64([2, 3]), True, name='mean')
    doubled = opset.multiply(mean, mean, name='of means')
    applied = opset.multiply(quantize(opset, x), doubled, name='applied')
    convolved = convolve(opset, quantize(opset, applied), 'convolved')
    found = list_of(opset.relu(convolved), parameters=[x])
    assert found == {'Multiply': ['applied'], 'ReduceMean': ['mean']}
