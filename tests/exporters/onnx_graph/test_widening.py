"""Channels of zeros, on small models: the same results, by wider nodes."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph import widening
from tests.exporters.onnx_graph.models import check_pass, make_model, named, onnx, random


def convolution(source, output, kernel, *more, **options):
    return named('Conv', [source, kernel, *more], output, pads=[1] * 4, **options)


def test_few_features_become_sixteen():
    constants = {'kernel': random(5, 8, 3, 3), 'bias': random(5)}
    model = make_model(
        [convolution('x', 'a', 'kernel', 'bias'), named('Relu', ['a'], 'y')],
        {'x': (1, 8, 6, 6), 'y': (1, 5, 6, 6)},
        constants,
    )
    ops = check_pass(widening.widen_convolutions, model, (1, 8, 6, 6))
    assert ops == {'Conv': 1, 'Slice': 1, 'Relu': 1}
    assert {tuple(tensor.dims) for tensor in model.graph.initializer} >= {(16, 8, 3, 3), (16,)}


def test_a_sum_is_cut_once():
    constants = {'left': random(5, 8, 3, 3), 'right': random(5, 4, 3, 3), 'bias': random(5)}
    split = onnx.helper.make_node('Split', ['x', 'parts'], ['a', 'b'], name='split', axis=1)
    nodes = [
        split,
        convolution('a', 'c', 'left', 'bias'),
        convolution('b', 'd', 'right'),
        named('Add', ['c', 'd'], 'y'),
    ]
    model = make_model(
        nodes,
        {'x': (1, 12, 6, 6), 'y': (1, 5, 6, 6)},
        {**constants, 'parts': np.array([8, 4])},
    )
    ops = check_pass(widening.widen_convolutions, model, (1, 12, 6, 6))
    assert ops == {'Split': 1, 'Conv': 2, 'Add': 1, 'Slice': 1}


@pytest.mark.parametrize(('channels', 'size', 'group'), [(6, 3, 1), (8, 1, 1), (8, 3, 8)])
def test_other_convolutions_keep_their_width(channels, size, group):
    features = 8 if group > 1 else 5
    kernel = random(features, channels // group, size, size)
    conv = named('Conv', ['x', 'kernel'], 'y', pads=[size // 2] * 4, group=group)
    shape = (1, channels, 6, 6)
    model = make_model([conv], {'x': shape, 'y': (1, features, 6, 6)}, {'kernel': kernel})
    assert check_pass(widening.widen_convolutions, model, shape) == {'Conv': 1}


def branches(channels, last, *, joined=('b', 'c')):
    """Two branches of depthwise convolutions, the second one dilated, joined and mixed."""
    nodes = [
        named('Conv', ['x', 'left'], 'b'),
        named('Conv', ['x', 'right', 'bias'], 'a'),
        named('Relu', ['a'], 'positive'),
        named('Conv', ['positive', 'depthwise', 'bias'], 'dilated',
              group=channels, dilations=[2, 2], pads=[2] * 4),
        named('Conv', ['dilated', 'depthwise'], 'shrunk', group=channels, pads=[1] * 4),
        named(*last, 'c'),
        named('Concat', joined, 'joined', axis=1),
        named('Conv', ['joined', 'mixing'], 'y'),
    ]  # fmt: skip
    inputs = {'b': 4, 'c': channels}
    constants = {
        'left': random(4, 3, 1, 1),
        'right': random(channels, 3, 1, 1),
        'bias': random(channels),
        'depthwise': random(channels, 1, 3, 3),
        'mixing': random(5, sum(inputs[name] for name in joined), 1, 1),
        'high': np.float32(3),
    }
    return make_model(nodes, {'x': (1, 3, 6, 6), 'y': (1, 5, 6, 6)}, constants)


def kernels(model):
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return {node.output[0]: sizes[node.input[1]] for node in model.graph.node
            if node.op_type == 'Conv'}  # fmt: skip


@pytest.mark.parametrize(('channels', 'wide'), [(8, 16), (24, 32)])
@pytest.mark.parametrize('joined', [('b', 'c'), ('c', 'b'), ('c', 'b', 'b')])
def test_dilated_branches_get_whole_vectors(channels, wide, joined):
    model = branches(channels, ('Clip', ['shrunk', '', 'high']), joined=joined)
    check_pass(widening.widen_branches, model, (1, 3, 6, 6))
    assert kernels(model) == {
        'b': (4, 3, 1, 1),
        'a': (wide, 3, 1, 1),
        'dilated': (wide, 1, 3, 3),
        'shrunk': (wide, 1, 3, 3),
        'y': (5, wide + 4 * joined.count('b'), 1, 1),
    }


@pytest.mark.parametrize(
    ('channels', 'last'),
    [(16, ('Relu', ['shrunk'])), (8, ('Add', ['shrunk', 'dilated'])), (8, ('Neg', ['shrunk']))],
)
def test_other_branches_keep_their_width(channels, last):
    model = branches(channels, last)
    before = kernels(model)
    check_pass(widening.widen_branches, model, (1, 3, 6, 6))
    assert kernels(model) == before


def test_maps_that_are_joined_twice_keep_their_width():
    model = branches(8, ('Relu', ['shrunk']), joined=('c', 'b', 'c'))
    before = kernels(model)
    check_pass(widening.widen_branches, model, (1, 3, 6, 6))
    assert kernels(model) == before
