"""Instance normalisation in one pass: the same results from the squares' mean."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph import normalisation
from tests.exporters.onnx_graph.models import check_pass, make_model, onnx, random

CONSTANTS = {
    'mask': np.float32([0, 1, 1]).reshape(1, 3, 1, 1),
    'offset': np.float32([1, 1e-5, 1e-5]).reshape(1, 3, 1, 1),
}


def normalise(*, squared='Mul'):
    """What the exporter writes for a masked instance normalisation of x, in small."""

    def named(kind, inputs, output, **options):
        return onnx.helper.make_node(kind, inputs, [output], name=output, **options)

    pool = {'kernel_shape': [2, 2], 'strides': [2, 2]}
    return [
        named('AveragePool', ['x'], 'pooled', **pool),
        named('GlobalAveragePool', ['pooled'], 'mean'),
        named('Mul', ['mean', 'mask'], 'masked'),
        named('Sub', ['x', 'masked'], 'centred'),
        named(squared, ['centred', 'centred'], 'square'),
        named('AveragePool', ['square'], 'pooled_square', **pool),
        named('GlobalAveragePool', ['pooled_square'], 'variance'),
        named('Mul', ['variance', 'mask'], 'masked_variance'),
        named('Add', ['masked_variance', 'offset'], 'positive'),
        named('Sqrt', ['positive'], 'root'),
        named('Reciprocal', ['root'], 'factor'),
        named('Mul', ['centred', 'factor'], 'scaled'),
        named('Relu', ['scaled'], 'y'),
    ]


def make(**options):
    shapes = {'x': [2, 3, 4, 6], 'y': [2, 3, 4, 6]}
    return make_model(normalise(**options), shapes, CONSTANTS)


def test_nothing_large_is_centred():
    model = make()
    check_pass(normalisation.normalise_in_one_pass, model, (2, 3, 4, 6))
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input)
    }
    (subtraction,) = (
        node
        for node in model.graph.node
        if node.op_type == 'Sub' and shapes[node.input[0]][2:] == [4, 6]
    )
    assert subtraction.output[0] == 'scaled'  # x · factor − mean · factor: in one go


def test_other_differences_stay():
    model = make(squared='Add')
    before = list(model.graph.node)
    normalisation.normalise_in_one_pass(model)
    assert list(model.graph.node) == before


def test_channels_that_do_not_vary_have_no_negative_variance():
    model = make()
    normalisation.normalise_in_one_pass(model)
    x = np.full((2, 3, 4, 6), 1000 / 3, np.float32) + random(2, 3, 4, 6) * 1e-6
    reference = pytest.importorskip('onnx.reference')
    (y,) = reference.ReferenceEvaluator(model).run(None, {'x': x})
    assert np.isfinite(y).all()
