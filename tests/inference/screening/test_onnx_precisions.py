"""ONNX models in 8 and 16 bits: taken, and measured by the sizes of their elements."""

import numpy as np
import pytest

pytest.importorskip('onnx')
from onnx import TensorProto, helper

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening import list_onnx_steps, read_onnx
from mattingjax.inference.sessions import create_session
from tests.inference.screening.onnx_models import END, MEAN, SHAPE, enlarged, numbers, peak, write

SCALE, ZERO = numbers('scale', 0.5, np.float32), numbers('zero', 3, np.uint8)
QUANTISED = [
    MEAN,
    helper.make_node('QuantizeLinear', ['mean', 'scale', 'zero'], ['bytes']),
    helper.make_node('DequantizeLinear', ['bytes', 'scale', 'zero'], ['rounded']),
    helper.make_node('DequantizeLinear', ['weights', 'scales', 'zeros'], ['factors'], axis=0),
    helper.make_node('Mul', ['rounded', 'factors'], ['output']),
]
WEIGHTS = [
    numbers('weights', [2, -3], np.int8),
    numbers('scales', [0.5, 1], np.float32),
    numbers('zeros', [0, 0], np.int8),
]
HALF = [
    MEAN,
    helper.make_node('Cast', ['half'], ['factor'], to=TensorProto.FLOAT),
    helper.make_node('Mul', ['mean', 'factor'], ['output']),
]


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize(
    ('nodes', 'constants', 'expected'),
    [
        (QUANTISED, [SCALE, ZERO, *WEIGHTS], [4, -12]),
        (HALF, [numbers('half', [0.5], np.float16)], [2]),
    ],
)
def test_they_are_run(tmp_path, runtime, nodes, constants, expected):
    pytest.importorskip(runtime)
    path = write(tmp_path / 'model.onnx', nodes, constants)
    alpha = create_session(path, runtime)(np.full(SHAPE, 4, np.float32))
    np.testing.assert_allclose(alpha, np.broadcast_to(np.float32(expected), alpha.shape))


def test_sizes_are_those_of_the_elements(tmp_path):
    path = write(tmp_path / 'model.onnx', QUANTISED, [SCALE, ZERO, *WEIGHTS])
    steps = {step.name: step.outputs for step in list_onnx_steps(read_onnx(path), SHAPE)}
    assert steps['bytes (QuantizeLinear)'] == {'bytes': 32 * 32}
    assert steps['rounded (DequantizeLinear)'] == {'rounded': 4 * 32 * 32}
    assert steps['weights'] == {'weights': 2}
    assert steps['factors (DequantizeLinear)'] == {'factors': 8}

    path = write(tmp_path / 'half.onnx', HALF, [numbers('half', [0.5] * 2, np.float16)])
    steps = {step.name: step.outputs for step in list_onnx_steps(read_onnx(path), SHAPE)}
    assert steps['half'] == {'half': 4}
    assert steps['factor (Cast)'] == {'factor': 8}


def test_bytes_count_once(tmp_path):
    nodes = [
        helper.make_node('QuantizeLinear', ['input', 'scale', 'zero'], ['bytes']),
        helper.make_node('Transpose', ['bytes'], ['turned'], perm=[0, 2, 1, 3]),
        helper.make_node('DequantizeLinear', ['turned', 'scale', 'zero'], ['output']),
    ]
    path = write(tmp_path / 'model.onnx', nodes, [SCALE, ZERO], ('n', 'h', 'w', 3))
    # The input of floats beside the bytes made of it, or bytes beside the output, and two numbers.
    assert peak(path, (1, 10, 20, 3)) == 5 * 10 * 20 * 3 + 5


REFUSED = {
    'bytes that become floats': (
        [*enlarged('ConstantOfShape', 'sizes', value=numbers('v', [1], np.int8))[:2],
         helper.make_node('DequantizeLinear', ['big', 'scale'], ['wide']),
         helper.make_node('ReduceMean', ['wide'], ['small'], keepdims=0),
         helper.make_node('Add', ['mean', 'small'], ['output'])],
        [SCALE, numbers('sizes', [2**15, 2**15])],
        r'wide \(DequantizeLinear\): would need 4 GB',
    ),
    'halves that become floats': (
        [*enlarged('ConstantOfShape', 'sizes', value=numbers('v', [1], np.float16))[:2],
         helper.make_node('Cast', ['big'], ['wide'], to=TensorProto.FLOAT),
         helper.make_node('ReduceMean', ['wide'], ['small'], keepdims=0),
         helper.make_node('Add', ['mean', 'small'], ['output'])],
        [numbers('sizes', [2**14, 2**16])],
        r'wide \(Cast\): would need 4 GB',
    ),
    'more bytes than the file has': (
        [MEAN, helper.make_node('DequantizeLinear', ['big', 'scale'], ['wide']),
         helper.make_node('Mul', ['mean', 'wide'], ['output'])],
        [SCALE, TensorProto(name='big', data_type=TensorProto.INT8, dims=[2**30, 4],
                            raw_data=bytes(4))],
        r'declares a tensor of \[1073741824, 4\] and holds 4 values',
    ),
    'halves of bytes': (
        [MEAN, helper.make_node('Cast', ['big'], ['wide'], to=TensorProto.FLOAT), END],
        [TensorProto(name='big', data_type=TensorProto.INT4, dims=[4], raw_data=bytes(2))],
        'big: expected a tensor of numbers, found type 22',
    ),
}  # fmt: skip


@pytest.mark.parametrize('kind', REFUSED)
@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_what_would_take_too_much_is_not_run(tmp_path, monkeypatch, kind, runtime):
    for package in ('onnxruntime', 'openvino'):
        pytest.importorskip(package)
    nodes, constants, message = REFUSED[kind]
    path = write(tmp_path / 'model.onnx', nodes, constants)
    monkeypatch.setattr('onnxruntime.InferenceSession', None)
    monkeypatch.setattr('openvino.Core', None)
    with pytest.raises(ArtefactError, match=message):
        create_session(path, runtime)
