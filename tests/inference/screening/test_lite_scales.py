"""Scales and zero points of LiteRT models, which its kernels trust."""

import numpy as np
import pytest

pytest.importorskip('ai_edge_litert')
pytest.importorskip('flatbuffers')

from mattingjax.inference.screening import read_lite_model
from mattingjax.inference.sessions import create_session
from tests.inference.screening.lite_models import (
    SCALE,
    SHAPE,
    Builder,
    integers,
    network,
    refuse,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'model.tflite'


@pytest.mark.parametrize(
    ('number', 'scales', 'zeros', 'message'),
    [
        (9, [0], 0, 'quantize9: expected scales of 9.09e-13 to .*, found 0'),
        (9, [-1], 0, 'expected scales .*, found -1'),
        (9, [np.nan], 0, 'expected scales .*, found nan'),
        (9, [np.inf], 0, 'expected scales .*, found inf'),
        (9, [2**-40.1], 0, 'expected scales of 9.09e-13 to .*, found 8.49e-13'),
        (9, [2**40.1], 0, r'expected scales .* to 1.1e.12, found 1.18e.12'),
        (1, [1e-38], 0, 'constant1: expected scales .*, found 1e-38'),
        (22, [1e-38], 0, 'constant22: expected scales of 8.27e-25 to .*, found 1e-38'),
        (9, [1], 128, 'expected zeros of -128 to 127, found 128'),
        (9, [1], -129, 'expected zeros of -128 to 127, found -129'),
        (9, [1], -(2**63), 'expected zeros .*, found -9223372036854775808'),
        (9, [1, 1], 0, 'quantize9: a list of 2, expected at most 1'),
        (9, [1], [], 'expected one scale and zero or 1, found 1 and 0'),
        (9, [], 0, 'quantize9: expected one scale, found 0'),
        (9, [1e-9], 0, 'expected scales of one order'),
        (1, [1, 1], 0, 'expected one scale and zero or 4, found 2 and 2'),
    ],
)
def test_no_such_scales(path, number, scales, zeros, message):
    builder = network()
    builder.scale(number, scales, zeros)
    refuse(path, builder, message)


def find(builder, name):
    names = [tensor.name.decode() for tensor in builder.graph.tensors]
    (number,) = (i for i, found in enumerate(names) if found.startswith(name))
    return number


@pytest.mark.parametrize('kind', ['conv_2d', 'depthwise_conv_2d'])
def test_sums_are_multiplied_by_little(path, kind):
    """LiteRT prepares no others, and may end the process in place of saying so."""
    builder = integers()
    made = find(builder, kind)
    (kernel,) = (item.inputs[1] for item in builder.graph.operators if made in item.outputs)
    axis = builder.graph.tensors[kernel].quantization.quantizedDimension
    builder.scale(kernel, [1, 1, 1, 127.9], axis=axis)
    path.write_bytes(builder.pack())
    assert create_session(path)(np.ones(SHAPE, np.float32)).shape == (*SHAPE[:3], 4)
    builder.scale(kernel, [1, 1, 1, 128], axis=axis)
    refuse(path, builder, f'{kind}.*: expected a factor below 128 for its sums, found 128')


def moving(kind):
    """A model whose one operation between floating point and back only moves numbers.

    Returns:
      The builder, and the number of what the operation makes.
    """
    builder = Builder()
    sides = {'AVERAGE_POOL_2D': 16, 'MAX_POOL_2D': 16, 'SLICE': 16, 'STRIDED_SLICE': 16, 'PAD': 34}
    side = sides.get(kind, 32)
    made = (1, side, side, 6 if kind == 'CONCATENATION' else 3)
    halves = {'strideW': 2, 'strideH': 2, 'filterWidth': 2, 'filterHeight': 2}
    constants, options = {
        'AVERAGE_POOL_2D': ([], {'options': 'Pool2D', **halves}),
        'CONCATENATION': ([], {'options': 'Concatenation', 'axis': 3}),
        'MAX_POOL_2D': ([], {'options': 'Pool2D', **halves}),
        'PAD': ([[[0, 0], [1, 1], [1, 1], [0, 0]]], {'options': 'Pad'}),
        'RESIZE_BILINEAR': ([[32, 32]], {'options': 'ResizeBilinear'}),
        'RESIZE_NEAREST_NEIGHBOR': ([[32, 32]], {'options': 'ResizeNearestNeighbor'}),
        'SLICE': ([[0, 8, 8, 0], made], {'options': 'Slice'}),
        'STRIDED_SLICE': ([[0] * 4, SHAPE, [1, 2, 2, 1]], {'options': 'StridedSlice'}),
    }[kind]
    read = [builder.add('QUANTIZE', [0], SHAPE, 'Quantize')] * (1 + (kind == 'CONCATENATION'))
    read += [builder.constant(values, 'INT32') for values in constants]
    number = builder.add(kind, read, made, **options)
    builder.add('DEQUANTIZE', [number], made, 'Dequantize')
    return builder, number


MOVING = (
    'AVERAGE_POOL_2D', 'CONCATENATION', 'MAX_POOL_2D', 'PAD', 'RESIZE_BILINEAR',
    'RESIZE_NEAREST_NEIGHBOR', 'SLICE', 'STRIDED_SLICE',
)  # fmt: skip


@pytest.mark.parametrize('kind', MOVING)
def test_what_only_moves_numbers_keeps_them(path, kind):
    builder, number = moving(kind)
    path.write_bytes(builder.pack())
    found = create_session(path)(np.full(SHAPE, 1.5, np.float32))
    assert found.shape == tuple(builder.graph.tensors[number].shape)
    assert set(np.unique(found)) == ({0, 1.5} if kind == 'PAD' else {1.5})


@pytest.mark.parametrize(('scale', 'zero'), [(SCALE * 2, 0), (SCALE, 1)])
@pytest.mark.parametrize('kind', MOVING)
def test_what_only_moves_numbers_does_not_scale_them(path, kind, scale, zero):
    builder, number = moving(kind)
    builder.scale(number, [scale], zero)
    message = f'{kind.lower()}.*: expected one scale and zero for all that it reads and makes'
    refuse(path, builder, message)


@pytest.mark.parametrize('zero', [-128, 0, 127])
def test_integers_run(path, zero):
    path.write_bytes(integers(zero=zero).pack())
    images = np.random.default_rng(0).integers(0, 64, SHAPE)
    photo = images.astype(np.float32)

    def round_off(values):  # as int8 holds them
        return np.clip(np.rint(values / SCALE), -128 - zero, 127 - zero) * SCALE

    first = round_off(round_off(photo).sum(3, keepdims=True) * SCALE + 64 * SCALE * SCALE)
    second = round_off(first * SCALE + 64 * SCALE * SCALE)
    expected = np.repeat(round_off(first + second), 4, 3)
    np.testing.assert_allclose(create_session(path)(photo), expected, atol=1.01 * SCALE)


@pytest.mark.parametrize('zero', [-128, 127])
@pytest.mark.parametrize('scale', [2**-40, 2**40])
def test_the_smallest_and_largest_scales_are_harmless(path, scale, zero):
    builder = integers(scale, zero)
    read_lite_model(builder.pack())
    path.write_bytes(builder.pack())
    images = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)
    assert np.isfinite(create_session(path)(images)).all()


@pytest.mark.parametrize('scale', [2**-40 / 2, 2**40 * 2])
def test_scales_beyond_them_are_refused(path, scale):
    refuse(path, integers(scale), 'quantize1: expected scales')
