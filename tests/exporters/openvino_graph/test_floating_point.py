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


def convolve(opset, value, name):
    channels = value.get_output_shape(0)[1]
    kernel = np.ones((2, channels, 1, 1), np.float32)
    return opset.convolution(
        value, kernel, [1, 1], [0, 0], [0, 0], [1, 1], name=name
    )  # fmt: skip


def list_of(*results, parameters):
    from exporters.openvino_graph.floating_point import list_float_operations
    from mattingjax.process.packages import import_openvino

    return list_float_operations(import_openvino().Model(list(results), parameters))


@pytest.mark.parametrize('first', [True, False])
def test_a_convolution_of_joined_maps_reads_all_of_them(opset, first):
    x = opset.parameter(SIZE, np.float32)
    whole, part = quantize(opset, x), opset.relu(x)
    joined = opset.concat([whole, part] if first else [part, whole], 1)
    inner = opset.concat([whole, joined], 1)
    both = opset.concat([whole, opset.transpose(whole, [0, 1, 3, 2])], 1)
    found = list_of(
        convolve(opset, inner, 'mixed'), convolve(opset, both, 'quantised'), parameters=[x]
    )
    assert found == {'Convolution': ['mixed']}


def test_maps_alone_count(opset):
    """Not what is computed once for a photo, nor the weights that are multiplied by their step."""
    x = opset.parameter(SIZE, np.float32)
    mean = opset.reduce_mean(quantize(opset, x), np.int64([2, 3]), True, name='mean')
    doubled = opset.multiply(mean, mean, name='of means')
    applied = opset.multiply(quantize(opset, x), doubled, name='applied')
    weights = opset.convert(opset.constant(np.ones((2, 2, 3, 3), np.int8)), 'f32')
    kernel = opset.multiply(weights, np.float32(0.5))
    convolved = opset.convolution(
        quantize(opset, applied), kernel, [1, 1], [0, 0], [0, 0], [1, 1]
    )  # fmt: skip
    found = list_of(opset.relu(convolved), parameters=[x])
    assert found == {'Multiply': ['applied'], 'ReduceMean': ['mean']}
