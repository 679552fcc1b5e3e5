"""The photo that convolutions of 8 bits read: four channels, and levels that bytes can hold."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph.photo_passes import Levels, prepare_photo
from tests.exporters.onnx_graph.models import make_model, named, onnx, random, reference

CONSTANTS = {
    'scale': np.float32(2 / 255),
    'one': np.float32(1),
    'sizes': np.float32([1, 1, 0.5, 0.5]),
    'first': random(5, 3, 3, 3),
    'joined': random(5, 8, 3, 3),
    'half': random(5, 3, 1, 1),
    'bias': random(5),
}


def network(*, scaled=True, extra=()):
    """A photo in [0, 255], NHWC, read by three convolutions: itself, joined with others, halved."""
    scaling = [named('Mul', ['x', 'scale'], 'm'), named('Sub', ['m', 'one'], 's')]
    options = {'mode': 'linear', 'coordinate_transformation_mode': 'half_pixel'}
    return [
        *(scaling if scaled else []),
        named('Transpose', ['s' if scaled else 'x'], 'photo', perm=[0, 3, 1, 2]),
        named('Conv', ['photo', 'first', 'bias'], 'a', pads=[1] * 4),
        named('Concat', ['a', 'photo'], 'b', axis=1),
        named('Conv', ['b', 'joined'], 'c', pads=[1] * 4, strides=[2, 2]),
        named('Resize', ['photo', '', 'sizes'], 'small', **options),
        named('Conv', ['small', 'half'], 'd'),
        named('Add', ['c', 'd'], 'e' if extra else 'y'),
        *extra,
    ]


def run(model, pixels):
    return reference.ReferenceEvaluator(model).run(None, {'x': pixels})[0]


@pytest.mark.parametrize(
    ('scaled', 'levels'), [(True, Levels('photo_padded', 2 / 255, 128)), (False, None)]
)
def test_the_photo_gets_a_fourth_channel(scaled, levels):
    model = make_model(network(scaled=scaled), {'x': (1, 8, 8, 3), 'y': (1, 5, 4, 4)}, CONSTANTS)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.float32)
    expected = run(model, pixels)
    found = prepare_photo(model)
    onnx.checker.check_model(model, full_check=True)
    if levels is None:
        assert found is None
    else:
        assert (found.name, found.zero) == (levels.name, levels.zero)
        assert found.scale == pytest.approx(levels.scale)
    # At the border the padding is half a level from where it was.
    np.testing.assert_allclose(run(model, pixels), expected, atol=0.15)
    inner = np.s_[:, :, 1:-1, 1:-1]
    np.testing.assert_allclose(run(model, pixels)[inner], expected[inner], atol=5e-2)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    kernels = [shapes[node.input[1]] for node in model.graph.node if node.op_type == 'Conv']
    assert kernels == [(5, 4, 3, 3), (5, 9, 3, 3), (5, 4, 1, 1)]


def test_the_levels_are_those_of_bytes():
    model = make_model(network(), {'x': (1, 8, 8, 3), 'y': (1, 5, 4, 4)}, CONSTANTS)
    levels = prepare_photo(model)
    pixels = np.arange(192, dtype=np.float32).reshape(1, 8, 8, 3)
    value = onnx.helper.make_tensor_value_info(levels.name, onnx.TensorProto.FLOAT, None)
    model.graph.output.insert(0, value)
    photo = run(model, pixels)[:, :3].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(photo / levels.scale + levels.zero, pixels, atol=1e-3)


def test_a_photo_that_others_read_stays():
    extra = [named('ReduceMean', ['photo'], 'mean'), named('Add', ['e', 'mean'], 'y')]
    model = make_model(network(extra=extra), {'x': (1, 8, 8, 3), 'y': (1, 5, 4, 4)}, CONSTANTS)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.float32)
    expected = run(model, pixels)
    assert prepare_photo(model) is None
    np.testing.assert_allclose(run(model, pixels), expected, atol=1e-5)
    readers = [node for node in model.graph.node if 'photo' in node.input]
    assert [node.op_type for node in readers] == ['Conv', 'Concat', 'Resize', 'ReduceMean']


def test_it_may_keep_its_three_channels():
    model = make_model(network(), {'x': (1, 8, 8, 3), 'y': (1, 5, 4, 4)}, CONSTANTS)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.float32)
    expected = run(model, pixels)
    assert prepare_photo(model, widen=False).zero == 128
    inner = np.s_[:, :, 1:-1, 1:-1]
    np.testing.assert_allclose(run(model, pixels)[inner], expected[inner], atol=1e-4)
    assert 'Gather' not in {node.op_type for node in model.graph.node}
