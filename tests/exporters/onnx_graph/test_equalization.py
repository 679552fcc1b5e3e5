"""Channels of one range before depthwise convolutions."""

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from exporters.onnx_graph.equalization import equalize_channels
from tests.exporters.onnx_graph.models import make_model, named, onnx, random, reference

SHAPE = (1, 4, 8, 8)
RANGES = np.float32([1, 0.1, 0.001, 0]).reshape(-1, 1, 1, 1)
CONSTANTS = {
    'first': np.abs(random(4, 4, 1, 1)) * RANGES,
    'bias': np.zeros(4, np.float32),
    'low': np.float32(0),
    'high': np.float32(6),
    'depthwise': random(4, 1, 3, 3),
}


def images(count):
    return list(np.random.default_rng(2).uniform(0, 1, (count, *SHAPE)).astype(np.float32))


def network():
    return [
        named('Conv', ['x', 'first', 'bias'], 'a'),
        named('Clip', ['a', 'low', 'high'], 'map'),
        named('Conv', ['map', 'depthwise'], 'y', group=4, pads=[1] * 4),
    ]


def test_channels_get_the_range_of_the_largest():
    model = make_model(network(), {'x': SHAPE, 'y': SHAPE}, CONSTANTS)
    photos = images(5)
    expected = [reference.ReferenceEvaluator(model).run(None, {'x': x})[0] for x in photos]
    equalize_channels(model, photos)
    onnx.checker.check_model(model, full_check=True)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info('map', onnx.TensorProto.FLOAT, None)
    )
    results = [reference.ReferenceEvaluator(model).run(None, {'x': x}) for x in photos]
    for (y, _), before in zip(results, expected, strict=True):
        np.testing.assert_allclose(y, before, rtol=1e-4, atol=1e-6)
    largest = np.max([found for _, found in results], axis=(0, 1, 3, 4))
    np.testing.assert_allclose(largest[:3], largest[0], rtol=1e-4)
    assert largest[3] == 0  # nobody knows its range


def test_a_convolution_over_channels_keeps_them():
    constants = {**CONSTANTS, 'depthwise': random(4, 4, 3, 3)}
    nodes = network()
    nodes[2] = named('Conv', ['map', 'depthwise'], 'y', pads=[1] * 4)
    model = make_model(nodes, {'x': SHAPE, 'y': SHAPE}, constants)
    before = model.SerializeToString()
    equalize_channels(model, images(1))
    assert model.SerializeToString() == before
