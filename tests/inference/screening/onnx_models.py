"""ONNX models of a few nodes, to be screened."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from mattingjax.inference.screening import list_onnx_steps, onnx_inputs, read_onnx
from mattingjax.inference.screening.memory import measure_peak

SHAPE = (1, 32, 32, 3)
MEAN = helper.make_node('ReduceMean', ['input'], ['mean'], axes=[3], keepdims=1)
END = helper.make_node('Sigmoid', ['mean'], ['output'])


def numbers(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def declared(dims, location=TensorProto.DEFAULT):
    """A tensor `big` that says it has these sizes, and holds one number."""
    tensor = TensorProto(name='big', data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(4))
    tensor.data_location = location
    return tensor


def enlarged(op, *inputs, **attributes):
    """Enlarges the mean, and takes the mean of that."""
    return [
        MEAN,
        helper.make_node(op, list(inputs), ['big'], **attributes),
        helper.make_node('ReduceMean', ['big'], ['small'], keepdims=0),
        helper.make_node('Add', ['mean', 'small'], ['output']),
    ]


ADDED = [MEAN, helper.make_node('Add', ['mean', 'big'], ['output'])]
BRANCH = helper.make_graph(
    [helper.make_node('Identity', ['mean'], ['same'])],
    'branch',
    [],
    [helper.make_tensor_value_info('same', TensorProto.FLOAT, None)],
)
FUNCTION = helper.make_function(
    'own', 'F', ['a'], ['b'], [helper.make_node('Identity', ['a'], ['b'])],
    [helper.make_opsetid('', 17)],
)  # fmt: skip


def write(path, nodes, constants=(), shape=SHAPE, **options):
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
        for name, sizes in (('input', shape), ('output', None))
    ]
    graph = helper.make_graph(nodes, 'test', ends[:1], ends[1:], list(constants))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8, **options
    )
    path.write_bytes(model.SerializeToString())
    return path


def peak(path, shape):
    model = read_onnx(path)
    (source,) = onnx_inputs(model)
    return measure_peak(list_onnx_steps(model, shape), source)
