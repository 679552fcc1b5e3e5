"""Each pass on a small model: the same results, fewer or other nodes."""

from collections import Counter

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
reference = pytest.importorskip('onnx.reference')

from exporters.onnx_graph import passes  # noqa: E402


def make_model(nodes, shapes, constants):
    """`shapes`: of the input x and the output y."""
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name])
        for name in 'xy'
    ]
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = onnx.helper.make_graph(nodes, 'test', values[:1], values[1:], tensors)
    opset = onnx.helper.make_opsetid('', 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def check_pass(rewrite, model, shape):
    """Runs a pass; returns how many nodes of each kind are left."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (expected,) = reference.ReferenceEvaluator(model).run(None, {'x': x})
    rewrite(model)
    onnx.checker.check_model(model, full_check=True)
    (y,) = reference.ReferenceEvaluator(model).run(None, {'x': x})
    np.testing.assert_allclose(y, expected, atol=2e-5)
    return Counter(node.op_type for node in model.graph.node)


def random(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def node(*arguments, **attributes):
    return onnx.helper.make_node(*arguments, name=arguments[0], **attributes)


def resize(source, target, mode='half_pixel'):
    return onnx.helper.make_node(
        'Resize', [source, '', 'scales'], [target], name=f'resize_{target}', mode='linear',
        coordinate_transformation_mode=mode,
    )  # fmt: skip


SCALES = {'scales': np.float32([1, 1, 2, 2])}


def test_reshapes_that_change_nothing_go():
    nodes = [node('Reshape', ['x', 'same'], ['a']), node('Relu', ['a'], ['b'])]
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
    nodes = [node('Slice', ['x', *constants], ['y'])]
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
        node('Pad', ['x', 'pads', 'zero'], ['a']),
        node('Conv', ['a', 'kernel'], ['y'], strides=[2, 2], pads=[1, 0, 0, 0]),
    ]
    model = make_model(nodes, {'x': [1, 2, 8, 9], 'y': [1, 5, 6, 7]}, constants)
    assert check_pass(passes.fold_pads, model, (1, 2, 8, 9)) == {'Conv': 1}


def test_padding_that_crops_stays():
    constants = {'pads': np.int64([0, 0, -1, 1, 0, 0, 0, 0]), 'kernel': random(5, 2, 3, 3)}
    nodes = [node('Pad', ['x', 'pads'], ['a']), node('Conv', ['a', 'kernel'], ['y'])]
    model = make_model(nodes, {'x': [1, 2, 8, 9], 'y': [1, 5, 5, 8]}, constants)
    before = list(model.graph.node)
    passes.fold_pads(model)
    assert list(model.graph.node) == before


@pytest.mark.parametrize('wide', [1, 2])
def test_a_joined_photo_is_convolved_apart(wide):
    constants = {'kernel': random(7, 3 + wide * 3, 3, 3), 'bias': random(7)}
    nodes = [
        node('Relu', ['x'], ['a']),
        node('Concat', [*['a'] * wide, 'x'], ['b'], axis=1),
        node('Conv', ['b', 'kernel', 'bias'], ['y'], pads=[1] * 4, kernel_shape=[3, 3]),
    ]
    model = make_model(nodes, {'x': [1, 3, 8, 9], 'y': [1, 7, 8, 9]}, constants)
    ops = check_pass(passes.split_narrow_inputs, model, (1, 3, 8, 9))
    assert ops == Counter(Relu=1, Conv=2, Add=1, Concat=wide - 1) + Counter()


@pytest.mark.parametrize('mode', ['half_pixel', 'asymmetric'])
def test_narrow_maps_are_enlarged_by_products(mode):
    nodes = [resize('x', 'a', mode), resize('a', 'b', mode), node('Sigmoid', ['b'], ['y'])]
    model = make_model(nodes, {'x': [2, 1, 5, 7], 'y': [2, 1, 20, 28]}, SCALES)
    ops = check_pass(passes.multiply_narrow_resizes, model, (2, 1, 5, 7))
    assert ops == {'MatMul': 2, 'Sigmoid': 1}


@pytest.mark.parametrize('mode', ['half_pixel', 'asymmetric'])
@pytest.mark.parametrize('bias', [True, False])
def test_channels_are_mixed_before_enlarging(mode, bias):
    constants = {**SCALES, 'kernel': random(3, 200, 5, 5) / 70, 'bias': random(3)}
    inputs = ['a', 'kernel', *(['bias'] if bias else [])]
    nodes = [resize('x', 'a', mode), node('Conv', inputs, ['y'], pads=[2] * 4, strides=[1, 1])]
    model = make_model(nodes, {'x': [2, 200, 3, 4], 'y': [2, 3, 6, 8]}, constants)
    ops = check_pass(passes.convolve_before_enlarging, model, (2, 200, 3, 4))
    assert ops['Resize'] == 0
    assert ops['MatMul'] == 2


def test_what_would_not_pay_stays():
    constants = {**SCALES, 'kernel': random(3, 8, 3, 3)}
    nodes = [resize('x', 'a'), node('Conv', ['a', 'kernel'], ['y'], pads=[1] * 4, strides=[1, 1])]
    model = make_model(nodes, {'x': [1, 8, 8, 8], 'y': [1, 3, 16, 16]}, constants)
    for rewrite in (passes.convolve_before_enlarging, passes.multiply_narrow_resizes):
        assert check_pass(rewrite, model, (1, 8, 8, 8)) == {'Resize': 1, 'Conv': 1}
