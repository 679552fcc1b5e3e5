"""Passes around resizing on small models: the same results, fewer or other nodes."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph import resizing
from tests.exporters.onnx_graph.models import (
    SCALES,
    check_pass,
    make_model,
    named,
    random,
    resize,
)


@pytest.mark.parametrize('mode', ['half_pixel', 'asymmetric'])
def test_narrow_maps_are_enlarged_by_products(mode):
    nodes = [resize('x', 'a', mode), resize('a', 'b', mode), named('Sigmoid', ['b'], 'y')]
    model = make_model(nodes, {'x': [2, 1, 5, 7], 'y': [2, 1, 20, 28]}, SCALES)
    ops = check_pass(resizing.multiply_narrow_resizes, model, (2, 1, 5, 7))
    assert ops == {'MatMul': 2, 'Sigmoid': 1}


@pytest.mark.parametrize('mode', ['half_pixel', 'asymmetric'])
@pytest.mark.parametrize('bias', [True, False])
def test_channels_are_mixed_before_enlarging(mode, bias):
    constants = {**SCALES, 'kernel': random(3, 200, 5, 5) / 70, 'bias': random(3)}
    inputs = ['a', 'kernel', *(['bias'] if bias else [])]
    nodes = [resize('x', 'a', mode), named('Conv', inputs, 'y', pads=[2] * 4, strides=[1, 1])]
    model = make_model(nodes, {'x': [2, 200, 3, 4], 'y': [2, 3, 6, 8]}, constants)
    ops = check_pass(resizing.convolve_before_enlarging, model, (2, 200, 3, 4))
    assert ops['Resize'] == 0
    assert ops['MatMul'] == 2


def test_what_would_not_pay_stays():
    constants = {**SCALES, 'kernel': random(3, 8, 3, 3)}
    nodes = [resize('x', 'a'), named('Conv', ['a', 'kernel'], 'y', pads=[1] * 4, strides=[1, 1])]
    model = make_model(nodes, {'x': [1, 8, 8, 8], 'y': [1, 3, 16, 16]}, constants)
    for rewrite in (resizing.convolve_before_enlarging, resizing.multiply_narrow_resizes):
        assert check_pass(rewrite, model, (1, 8, 8, 8)) == {'Resize': 1, 'Conv': 1}


@pytest.mark.parametrize(('size', 'stride'), [(3, 2), (3, 1), (5, 1)])
def test_the_photo_is_convolved_before_it_is_halved(size, stride):
    constants = {'scales': np.float32([1, 1, 0.5, 0.5]), 'kernel': random(4, 3, size, size)}
    convolve = named('Conv', ['a', 'kernel'], 'y', pads=[size // 2] * 4, strides=[stride, stride])
    sides = [-(-8 // stride), -(-6 // stride)]
    shapes = {'x': [2, 3, 16, 12], 'y': [2, 4, *sides]}
    model = make_model([resize('x', 'a'), convolve], shapes, constants)
    ops = check_pass(resizing.convolve_before_shrinking, model, shapes['x'])
    assert ops == {'Conv': 1}


@pytest.mark.parametrize(
    ('channels', 'scale', 'mode'),
    [(16, 0.5, 'half_pixel'), (3, 0.25, 'half_pixel'), (3, 0.5, 'asymmetric')],
)
def test_what_is_no_mean_of_a_photo_is_still_shrunk(channels, scale, mode):
    constants = {'scales': np.float32([1, 1, scale, scale]), 'kernel': random(4, channels, 3, 3)}
    nodes = [resize('x', 'a', mode), named('Conv', ['a', 'kernel'], 'y', pads=[1] * 4)]
    sides = [int(16 * scale), int(16 * scale)]
    shapes = {'x': [1, channels, 16, 16], 'y': [1, 4, *sides]}
    model = make_model(nodes, shapes, constants)
    ops = check_pass(resizing.convolve_before_shrinking, model, shapes['x'])
    assert ops == {'Resize': 1, 'Conv': 1}


@pytest.mark.parametrize('factor', [2, 4, 6])
def test_photos_are_shrunk_by_a_convolution(factor):
    constants = {'scales': np.float32([1, 1, 1 / factor, 1 / factor])}
    shapes = {'x': [2, 3, 4 * factor, 5 * factor], 'y': [2, 3, 4, 5]}
    nodes = [resize('x', 'a'), named('Relu', ['a'], 'y')]
    model = make_model(nodes, shapes, constants)
    ops = check_pass(resizing.shrink_by_convolution, model, shapes['x'])
    assert ops == {'Conv': 1, 'Relu': 1}


@pytest.mark.parametrize(
    ('scale', 'mode'), [(1 / 3, 'half_pixel'), (0.5, 'asymmetric'), (2, 'half_pixel')]
)
def test_other_resizes_stay_resizes(scale, mode):
    constants = {'scales': np.float32([1, 1, scale, scale])}
    side = round(12 * scale)
    nodes = [resize('x', 'a', mode), named('Relu', ['a'], 'y')]
    model = make_model(nodes, {'x': [1, 3, 12, 12], 'y': [1, 3, side, side]}, constants)
    ops = check_pass(resizing.shrink_by_convolution, model, (1, 3, 12, 12))
    assert ops == {'Resize': 1, 'Relu': 1}
