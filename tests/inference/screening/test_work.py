"""Multiply-adds, counted by hand."""

import pytest

from mattingjax.inference.screening.frozen_graph import ALLOWED_OPS
from mattingjax.inference.screening.work import count_work


@pytest.mark.parametrize(
    ('kind', 'inputs', 'output', 'window', 'work'),
    [
        ('Conv', [(1, 4, 8, 8), (6, 4, 3, 3)], (1, 6, 8, 8), (), 6 * 64 * 4 * 9),
        ('Conv', [(1, 4, 8, 8), (4, 1, 3, 3)], (1, 4, 8, 8), (), 4 * 64 * 9),  # depthwise
        ('QLinearConv', [(1, 4, 8, 8), (), (), (6, 4, 3, 3)], (1, 6, 8, 8), (), 6 * 64 * 4 * 9),
        ('GroupConvolution', [(1, 4, 8, 8), (2, 3, 2, 3, 3)], (1, 6, 8, 8), (), 6 * 64 * 2 * 9),
        ('Conv2D', [(1, 8, 8, 4), (3, 3, 4, 6)], (1, 8, 8, 6), (), 6 * 64 * 4 * 9),
        ('DepthwiseConv2dNative', [(1, 8, 8, 4), (3, 3, 4, 1)], (1, 8, 8, 4), (), 4 * 64 * 9),
        ('ConvTranspose', [(1, 4, 8, 8), (4, 6, 2, 2)], (1, 6, 16, 16), (), 4 * 64 * 6 * 4),
        ('MatMul', [(20, 30), (30, 40)], (20, 40), (), 20 * 30 * 40 + 1),
        ('Gemm', [(30, 20), (40, 30)], (20, 40), (), 20 * 30 * 40 + 1),
        ('MatMul', [(7, 20, 30), (30, 40)], (7, 20, 40), (), 7 * 20 * 30 * 40 + 1),
        ('MaxPool', [(1, 4, 8, 8)], (1, 4, 4, 4), (3, 3), 64 * 9),
        ('Add', [(1, 4, 8, 8), (1,)], (1, 4, 8, 8), (), 0),
    ],
)
def test_work(kind, inputs, output, window, work):
    def elements(shape):
        count = 1
        for side in shape:
            count *= side
        return count

    moved = sum(map(elements, [*inputs, output]))
    assert count_work(kind, inputs, [output], window) == moved + work


def test_a_batch_of_products_is_not_underestimated():
    assert count_work('MatMul', [(8, 20, 30), (8, 30, 40)], [(8, 20, 40)]) > 8 * 20 * 30 * 40


@pytest.mark.parametrize('kind', ['Sin', 'IsNaN', 'CumSum', 'TopK', 'GridSample', 'CastLike'])
def test_what_looks_at_each_element_once(kind):
    assert count_work(kind, [(1, 4, 8, 8)], [(1, 4, 8, 8)]) == 2 * 4 * 64


def test_an_unknown_operation_combines_everything():
    assert count_work('Einsum', [(10, 20), (30,)], [(5,)]) == 10 * 20 * 30 * 5


@pytest.mark.parametrize('op', sorted(ALLOWED_OPS))
def test_the_operations_of_frozen_graphs_are_known(op):
    shape = (9, 9, 9, 9)
    assert count_work(op, [shape] * 5, [shape], shape) < 9 ** (4 * 6)
