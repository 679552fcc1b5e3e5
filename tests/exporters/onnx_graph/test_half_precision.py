"""Weights in half precision: which, how many, and what is left of the result."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph.half_precision import compress_largest, count_constants
from exporters.precision.within_tolerance import compress_within
from tests.exporters.onnx_graph.models import make_model, named, onnx, random, reference

SHAPE = (1, 8, 6, 6)
CONSTANTS = {
    'large': random(8, 8, 3, 3),
    'middle': random(8, 8, 1, 1),
    'small': random(8),
    'one': np.float32(1),
    'shape': np.array([1, 8, 6, 6]),
}
NODES = [
    named('Conv', ['x', 'large'], 'a', pads=[1] * 4),
    named('Conv', ['a', 'middle', 'small'], 'b'),
    named('Mul', ['b', 'one'], 'c'),
    named('Reshape', ['c', 'shape'], 'y'),
]


def halves(model):
    return [
        tensor.name.removesuffix('_half')
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT16
    ]


@pytest.mark.parametrize(
    ('count', 'names', 'share'),
    [(0, [], 0), (1, ['large'], 576 / 648), (2, ['large', 'middle'], 640 / 648),
     (9, ['large', 'middle', 'small'], 1)],
)  # fmt: skip
def test_the_largest_are_compressed(count, names, share):
    model = make_model(NODES, {'x': SHAPE, 'y': SHAPE}, CONSTANTS)
    before = model.SerializeToString()
    compressed, found = compress_largest(model, count)
    onnx.checker.check_model(compressed, full_check=True)
    assert halves(compressed) == names
    assert found == pytest.approx(share)
    assert model.SerializeToString() == before
    x = random(*SHAPE)
    (expected,) = reference.ReferenceEvaluator(model).run(None, {'x': x})
    (y,) = reference.ReferenceEvaluator(compressed).run(None, {'x': x})
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, atol=0.1)
    assert count == 0 or np.abs(y - expected).max() > 0


def test_as_many_as_the_limit_allows():
    model = make_model(NODES, {'x': SHAPE, 'y': SHAPE}, CONSTANTS)
    asked = []

    def measure(compressed):
        asked.append(halves(compressed))
        return len(asked[-1]) / 10

    compressed, share = compress_within(
        model, compress_largest, count_constants(model), measure, 0.25
    )
    assert halves(compressed) == ['large', 'middle']
    assert share == pytest.approx(640 / 648)
    assert len(asked) <= 3
