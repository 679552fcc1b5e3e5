"""Instance normalisation in other forms: the same results, by other nodes."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph import normalisation
from tests.exporters.onnx_graph.models import check_pass, make_model, named, onnx, random

SHAPE = (2, 6, 8, 8)


def masked_norm(first=3, *, squares=True, squared='Mul'):
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
    nodes.append(named(squared, ['centred', 'centred'], 'square'))
    average('square', 'variance')
    nodes += [
        named('Mul', ['variance', 'mask'], 'masked_variance'),
        named('Add', ['masked_variance', 'rest'], 'shifted'),
        named('Sqrt', ['shifted'], 'root'),
        named('Reciprocal', ['root'], 'inverse'),
        named('Mul', ['centred', 'inverse'], 'y'),
    ]
    return nodes, constants


def make(**options):
    nodes, constants = masked_norm(**options)
    return make_model(nodes, {'x': SHAPE, 'y': SHAPE}, constants)


def test_nothing_large_is_centred():
    model = make()
    check_pass(normalisation.normalise_in_one_pass, model, SHAPE)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input)
    }
    (subtraction,) = (
        node
        for node in model.graph.node
        if node.op_type == 'Sub' and shapes[node.input[0]][2:] == [8, 8]
    )
    assert subtraction.output[0] == 'y'  # x · factor − mean · factor: in one go


def test_statistics_are_kept_apart_from_what_is_done_for_every_pixel():
    model = make()
    normalisation.normalise_in_one_pass(model)
    ops = check_pass(normalisation.compute_statistics_once, model, SHAPE)
    assert (ops['Concat'], ops['Split']) == (1, 1)
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    (subtraction,) = (node for node in model.graph.node if node.output[0] == 'y')
    (product,) = (node for node in model.graph.node if node.output[0] == subtraction.input[0])
    assert makers[subtraction.input[1]] == makers[product.input[1]] == 'Split'
    assert check_pass(normalisation.compute_statistics_once, model, SHAPE) == ops


def test_an_offset_may_be_computed_after_the_product():
    nodes = [
        named('GlobalAveragePool', ['x'], 'mean'),
        named('Sigmoid', ['mean'], 'factor'),
        named('Mul', ['x', 'factor'], 'product'),
        named('Tanh', ['mean'], 'offset'),
        named('Sub', ['product', 'offset'], 'y'),
    ]
    model = make_model(nodes, {'x': SHAPE, 'y': SHAPE}, {})
    ops = check_pass(normalisation.compute_statistics_once, model, SHAPE)
    assert (ops['Concat'], ops['Split']) == (1, 1)


def test_whole_maps_are_pooled():
    model = make()
    ops = check_pass(normalisation.average_in_float, model, SHAPE)
    assert (ops['AveragePool'], ops['GlobalAveragePool']) == (4, 0)


def test_other_differences_stay():
    model = make(squared='Add')
    before = list(model.graph.node)
    normalisation.normalise_in_one_pass(model)
    assert list(model.graph.node) == before


def test_channels_that_do_not_vary_have_no_negative_variance():
    model = make()
    normalisation.normalise_in_one_pass(model)
    x = np.full(SHAPE, 1000 / 3, np.float32) + random(*SHAPE) * 1e-6
    reference = pytest.importorskip('onnx.reference')
    (y,) = reference.ReferenceEvaluator(model).run(None, {'x': x})
    assert np.isfinite(y).all()


@pytest.mark.parametrize('squares', [True, False])
@pytest.mark.parametrize('first', [0, 3, 5])
def test_only_what_is_normalised_is_read_for_it(first, squares):
    model = make(first=first, squares=squares)
    ops = check_pass(normalisation.split_norms, model, SHAPE)
    assert ops == {
        'Reshape': 2, 'Slice': 1 + (first > 0), 'InstanceNormalization': 1, 'Concat': 1
    }  # fmt: skip


@pytest.mark.parametrize('odd', ['mask', 'rest'])
def test_other_arithmetic_stays(odd):
    nodes, constants = masked_norm()
    constants[odd] = constants[odd] + np.float32([[[[0.5]], [[0]], [[0]], [[0]], [[0]], [[0]]]])
    model = make_model(nodes, {'x': SHAPE, 'y': SHAPE}, constants)
    ops = check_pass(normalisation.split_norms, model, SHAPE)
    assert ops['InstanceNormalization'] == 0
