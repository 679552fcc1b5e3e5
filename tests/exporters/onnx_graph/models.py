"""Small ONNX models, and how a pass is checked on them."""

from collections import Counter

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
reference = pytest.importorskip('onnx.reference')


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


def named(kind, inputs, output, **options):
    """A node of the name of its output."""
    return onnx.helper.make_node(kind, inputs, [output], name=output, **options)


def resize(source, target, mode='half_pixel'):
    return onnx.helper.make_node(
        'Resize', [source, '', 'scales'], [target], name=f'resize_{target}', mode='linear',
        coordinate_transformation_mode=mode,
    )  # fmt: skip


SCALES = {'scales': np.float32([1, 1, 2, 2])}
