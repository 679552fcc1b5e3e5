"""Passes for kernels of 8 bits, on small models: the same results, by other nodes."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph import integer_passes, passes
from tests.exporters.onnx_graph.models import check_pass, make_model, onnx, random

SHAPE = (2, 6, 8, 8)


def named(kind, inputs, output, **options):
    return onnx.helper.make_node(kind, inputs, [output], name=output, **options)


def masked_norm(first, *, squares=True):
    """Instance normalisation of the channels from `first` on, as the exporter writes it."""
    mask = (np.arange(6) >= first).astype(np.float32).reshape(1, -1, 1, 1)
    constants = {'mask': mask, 'rest': np.where(mask > 0, np.float32(1e-3), np.float32(1))}
    pool = {'kernel_shape': [4, 4], 'strides': [4, 4]}
    nodes = []

    def average(source, output):
        if squares:
            nodes.append(named('AveragePool', [source], f'{output}_squares', **pool))
            source = f'{output}_squares'
        nodes.append(named('GlobalAveragePool', [source], output))

    average('x', 'mean')
    nodes.append(named('Mul', ['mean', 'mask'], 'masked_mean'))
    nodes.append(named('Sub', ['x', 'masked_mean'], 'centred'))
    nodes.append(named('Mul', ['centred', 'centred'], 'square'))
    average('square', 'variance')
    nodes += [
        named('Mul', ['variance', 'mask'], 'masked_variance'),
        named('Add', ['masked_variance', 'rest'], 'shifted'),
        named('Sqrt', ['shifted'], 'root'),
        named('Reciprocal', ['root'], 'inverse'),
        named('Mul', ['centred', 'inverse'], 'y'),
    ]
    return nodes, constants


@pytest.mark.parametrize('squares', [True, False])
@pytest.mark.parametrize('first', [0, 3, 5])
def test_only_what_is_normalised_is_read_for_it(first, squares):
    nodes, constants = masked_norm(first, squares=squares)
    model = make_model(nodes, {'x': SHAPE, 'y': SHAPE}, constants)
    ops = check_pass(integer_passes.split_norms, model, SHAPE)
    assert ops == {
        'Reshape': 2, 'Slice': 1 + (first > 0), 'InstanceNormalization': 1, 'Concat': 1
    }  # fmt: skip


@pytest.mark.parametrize('odd', ['mask', 'rest'])
def test_other_arithmetic_stays(odd):
    nodes, constants = masked_norm(3)
    constants[odd] = constants[odd] + np.float32([[[[0.5]], [[0]], [[0]], [[0]], [[0]], [[0]]]])
    model = make_model(nodes, {'x': SHAPE, 'y': SHAPE}, constants)
    ops = check_pass(integer_passes.split_norms, model, SHAPE)
    assert ops['InstanceNormalization'] == 0


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


def convolution(source, output, kernel, *more, **options):
    return named('Conv', [source, kernel, *more], output, pads=[1] * 4, **options)


def test_few_features_become_sixteen():
    constants = {'kernel': random(5, 8, 3, 3), 'bias': random(5)}
    model = make_model(
        [convolution('x', 'a', 'kernel', 'bias'), named('Relu', ['a'], 'y')],
        {'x': (1, 8, 6, 6), 'y': (1, 5, 6, 6)},
        constants,
    )
    ops = check_pass(integer_passes.widen_convolutions, model, (1, 8, 6, 6))
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
    ops = check_pass(integer_passes.widen_convolutions, model, (1, 12, 6, 6))
    assert ops == {'Split': 1, 'Conv': 2, 'Add': 1, 'Slice': 1}


@pytest.mark.parametrize(('channels', 'size', 'group'), [(6, 3, 1), (8, 1, 1), (8, 3, 8)])
def test_other_convolutions_keep_their_width(channels, size, group):
    features = 8 if group > 1 else 5
    kernel = random(features, channels // group, size, size)
    conv = named('Conv', ['x', 'kernel'], 'y', pads=[size // 2] * 4, group=group)
    shape = (1, channels, 6, 6)
    model = make_model([conv], {'x': shape, 'y': (1, features, 6, 6)}, {'kernel': kernel})
    assert check_pass(integer_passes.widen_convolutions, model, shape) == {'Conv': 1}
