"""Each pass on a small model: the same results, fewer or other nodes."""

from collections import Counter

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph import passes
from tests.exporters.onnx_graph.models import check_pass, make_model, named, onnx, random

SHAPE = (2, 6, 8, 8)


def test_reshapes_that_change_nothing_go():
    nodes = [named('Reshape', ['x', 'same'], 'a'), named('Relu', ['a'], 'b')]
    nodes.append(onnx.helper.make_node('Reshape', ['b', 'last'], ['y'], name='last'))
    constants = {'same': np.int64([1, 1, 4, 6]), 'last': np.int64([1, 4, 6, 1])}
    model = make_model(nodes, {'x': [1, 1, 4, 6], 'y': [1, 4, 6, 1]}, constants)
    assert check_pass(passes.drop_reshapes, model, (1, 1, 4, 6)) == {'Relu': 1, 'Transpose': 1}


def test_slices_keep_only_the_axes_that_are_cut():
    constants = {
        'starts': np.int64([0, 1, 0, 0]),
        'ends': np.int64([1, 2, 4, 6]),
        'axes': np.int64([0, 1, 2, 3]),
    }
    nodes = [named('Slice', ['x', *constants], 'y')]
    model = make_model(nodes, {'x': [1, 3, 4, 6], 'y': [1, 1, 4, 6]}, constants)
    check_pass(passes.trim_slices, model, (1, 3, 4, 6))
    bounds = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    assert {tuple(dims) for dims in bounds.values()} == {(1,)}


def test_padding_goes_into_the_convolution():
    constants = {
        'pads': np.int64([0, 0, 1, 2, 0, 0, 3, 4]),
        'zero': np.float32(0),
        'kernel': random(5, 2, 3, 3),
    }
    nodes = [
        named('Pad', ['x', 'pads', 'zero'], 'a'),
        named('Conv', ['a', 'kernel'], 'y', strides=[2, 2], pads=[1, 0, 0, 0]),
    ]
    model = make_model(nodes, {'x': [1, 2, 8, 9], 'y': [1, 5, 6, 7]}, constants)
    assert check_pass(passes.fold_pads, model, (1, 2, 8, 9)) == {'Conv': 1}


def test_padding_that_crops_stays():
    constants = {'pads': np.int64([0, 0, -1, 1, 0, 0, 0, 0]), 'kernel': random(5, 2, 3, 3)}
    nodes = [named('Pad', ['x', 'pads'], 'a'), named('Conv', ['a', 'kernel'], 'y')]
    model = make_model(nodes, {'x': [1, 2, 8, 9], 'y': [1, 5, 5, 8]}, constants)
    before = list(model.graph.node)
    passes.fold_pads(model)
    assert list(model.graph.node) == before


@pytest.mark.parametrize('wide', [1, 2])
@pytest.mark.parametrize('is_last', [True, False])
def test_a_joined_photo_is_convolved_apart(wide, is_last):
    constants = {'kernel': random(7, 3 + wide * 6, 3, 3), 'bias': random(7)}
    joined = [*['a'] * wide, 'x'] if is_last else ['x', *['a'] * wide]
    nodes = [
        named('Concat', ['x', 'x'], 'a', axis=1),
        named('Concat', joined, 'b', axis=1),
        named('Conv', ['b', 'kernel', 'bias'], 'y', pads=[1] * 4, kernel_shape=[3, 3]),
    ]
    model = make_model(nodes, {'x': [1, 3, 8, 9], 'y': [1, 7, 8, 9]}, constants)
    ops = check_pass(passes.split_narrow_inputs, model, (1, 3, 8, 9))
    assert ops == Counter(Conv=2, Add=1, Concat=wide)


def test_equal_numbers_become_one():
    constants = {'same': np.full((1, 6, 1, 1), 2, np.float32), 'other': random(6, 1, 1)}
    nodes = [named('Mul', ['x', 'same'], 'a'), named('Add', ['a', 'other'], 'y')]
    model = make_model(nodes, {'x': SHAPE, 'y': SHAPE}, constants)
    check_pass(passes.shrink_constants, model, SHAPE)
    assert {tuple(tensor.dims) for tensor in model.graph.initializer} == {(1,), (6, 1, 1)}


def test_a_constant_that_gives_the_sum_its_shape_stays():
    constants = {'same': np.full((2, 6, 8, 8), 2, np.float32)}
    model = make_model(
        [named('Add', ['x', 'same'], 'y')], {'x': (1, 6, 1, 1), 'y': SHAPE}, constants
    )
    check_pass(passes.shrink_constants, model, (1, 6, 1, 1))
