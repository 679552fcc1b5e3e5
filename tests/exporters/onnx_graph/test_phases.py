"""The last layers in phases: the same alpha, no doubling and nothing at the full resolution."""

import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph import phases
from tests.exporters.onnx_graph.models import (
    SCALES,
    check_pass,
    make_model,
    onnx,
    random,
    resize,
)

CONSTANTS = {
    **SCALES,
    'wide': random(5, 6, 3, 3),
    'narrow': random(5, 3, 3, 3),
    'bias': random(5),
    'offset': np.abs(random(1, 5, 1, 1)),
    'half': np.float32(2e-3),  # keeps the sigmoid from its ends
    'one': random(1, 5, 1, 1),
    'last_bias': random(1),
}


def tail(*, mode='half_pixel', odd='Sigmoid'):
    """The end of MODNet in small: x, 9 channels, holds a map of 6 and what becomes a photo of 3."""
    conv = {'pads': [1] * 4, 'strides': [1, 1]}

    def named(kind, inputs, output, **options):
        return onnx.helper.make_node(kind, inputs, [output], name=output, **options)

    return [
        onnx.helper.make_node('Split', ['x', 'parts'], ['map', 'small'], name='split', axis=1),
        resize('map', 'large', mode),
        named('DepthToSpace', ['small'], 'photo', blocksize=2),
        named('Conv', ['large', 'wide', 'bias'], 'from_map', **conv),
        named('Conv', ['photo', 'narrow'], 'from_photo', **conv),
        named('Add', ['from_map', 'from_photo'], 'sum'),
        named('AveragePool', ['sum'], 'pooled', kernel_shape=[2, 2], strides=[2, 2]),
        named('GlobalAveragePool', ['pooled'], 'mean'),
        named('Sub', ['sum', 'mean'], 'centred'),
        named('Mul', ['centred', 'centred'], 'square'),
        named('GlobalAveragePool', ['square'], 'variance'),
        named('Add', ['variance', 'offset'], 'positive'),
        named('Mul', ['centred', 'positive'], 'scaled'),
        named('Add', ['scaled', 'offset'], 'moved'),
        named('Mul', ['moved', 'half'], 'halved'),
        named('Relu', ['halved'], 'relu'),
        named('Conv', ['relu', 'one', 'last_bias'], 'logit', kernel_shape=[1, 1]),
        named(odd, ['logit'], 'alpha'),
        named('Transpose', ['alpha'], 'y', perm=[0, 2, 3, 1]),
    ]


def make_tail(**options):
    constants = {**CONSTANTS, 'parts': np.int64([6, 12])}
    shapes = {'x': [2, 18, 5, 4], 'y': [2, 10, 8, 1]}
    return make_model(tail(**options), shapes, constants)


@pytest.mark.parametrize('shape', [(2, 18, 5, 4), (1, 18, 7, 9)])
def test_the_end_is_computed_in_phases(shape):
    model = make_tail()
    batch, _, height, width = shape
    for value, sides in ((model.graph.input[0], shape), (model.graph.output[0], None)):
        for side, size in zip(
            value.type.tensor_type.shape.dim,
            sides or (batch, 2 * height, 2 * width, 1),
            strict=True,
        ):
            side.dim_value = size
    ops = check_pass(phases.split_phases, model, shape)
    assert ops['Resize'] == 0
    shapes = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    full = [
        value.name
        for value in shapes
        if [side.dim_value for side in value.type.tensor_type.shape.dim][2:] == [
            2 * height, 2 * width
        ]
    ]  # fmt: skip
    assert full == ['photo']


@pytest.mark.parametrize('options', [{'mode': 'asymmetric'}, {'odd': 'Softsign'}])
def test_what_cannot_be_moved_whole_stays(options):
    model = make_tail(**options)
    before = list(model.graph.node)
    phases.split_phases(model)
    assert list(model.graph.node) == before
