"""Frozen TensorFlow graphs: only ops that compute, no functions, constants of a sane size.

The file is read with a description of the few fields that are looked at, so that it takes neither
TensorFlow, which may be missing where OpenVINO runs it, nor any of the graph's own machinery.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

from mattingjax.errors import ArtefactError, missing_package
from mattingjax.inference.screening.file_checks import check_node_count, read_structured
from mattingjax.inference.screening.protobuf import GRAPH_DEF_DATA

# What our exports and the original MMNet's frozen graphs are made of, and arithmetic of the same
# kind. None of these touches anything but its inputs, and the size of what each gives follows from
# the sizes of its inputs and from constants. A network that needs another op must add it here;
# exporters.tensorflow_graph.freezing refuses to write it before that.
ALLOWED_OPS = frozenset((
    'Const', 'Placeholder', 'Identity', 'Add', 'AddV2', 'BiasAdd', 'Sub', 'Mul', 'RealDiv', 'Neg',
    'Maximum', 'Minimum', 'Square', 'SquaredDifference', 'Sqrt', 'Rsqrt', 'Exp', 'Log', 'Sigmoid',
    'Softmax', 'Tanh', 'Relu', 'Relu6', 'Conv2D', 'DepthwiseConv2dNative', 'MatMul',
    'BatchMatMulV2', 'AvgPool', 'MaxPool', 'Mean', 'Sum', 'Max', 'Min', 'FusedBatchNorm',
    'FusedBatchNormV3', 'ConcatV2', 'Pad', 'PadV2', 'MirrorPad', 'Slice', 'StridedSlice', 'Split',
    'Reshape', 'Squeeze', 'ExpandDims', 'Transpose', 'SpaceToBatchND', 'BatchToSpaceND',
    'SpaceToDepth', 'DepthToSpace', 'ResizeBilinear', 'ResizeNearestNeighbor', 'Cast',
))  # fmt: skip
# The inputs that say how large an output is, and over which sides an op goes. Readers compute these
# as they load a graph, whatever that takes: they must be constants already.
_SIZES = {
    'BatchToSpaceND': (1, 2), 'ConcatV2': (-1,), 'ExpandDims': (1,), 'Max': (1,), 'Mean': (1,),
    'Min': (1,), 'MirrorPad': (1,), 'Pad': (1,), 'PadV2': (1,), 'Reshape': (1,),
    'ResizeBilinear': (1,), 'ResizeNearestNeighbor': (1,), 'Slice': (1, 2),
    'SpaceToBatchND': (1, 2), 'Split': (0,), 'StridedSlice': (1, 2, 3), 'Sum': (1,),
    'Transpose': (1,),
}  # fmt: skip
# Ops of much arithmetic, which readers would do as they load a graph if all of it were constant.
_HEAVY_OPS = frozenset((
    'AvgPool', 'BatchMatMulV2', 'Conv2D', 'DepthwiseConv2dNative', 'MatMul', 'MaxPool',
))  # fmt: skip
_MAX_CONSTANTS = 2**30  # bytes, all constants together
# Bytes of an element, by the number of its type: float, double, int32, uint8, int16, int8, int64,
# bool, bfloat16, half. Not text, not handles of resources.
_ITEM_SIZES = {1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 9: 8, 10: 1, 14: 2, 19: 2}


def check_frozen_graph(path: Path) -> None:
    """Raises ArtefactError unless a `.pb` holds nothing but what a matting network is made of."""
    try:
        message = _graph_message()
    except ImportError as error:
        raise missing_package(f'{path}: reading it', 'protobuf', 'export') from error
    content = read_structured(path, GRAPH_DEF_DATA, 'TensorFlow')
    try:
        graph = message.FromString(content)
    except Exception as error:  # protobuf's own types
        raise ArtefactError(f'{path}: TensorFlow cannot read it (no frozen graph)') from error
    check_node_count(path, len(graph.node))
    for function in graph.library.function:
        raise ArtefactError(
            f'{path}: {function.signature.name}: a function; a frozen graph has none'
        )
    for node in graph.node:
        if node.op not in ALLOWED_OPS:
            raise ArtefactError(
                f'{path}: {node.name}: {node.op} is no op of a matting network; it is not run'
            )
    _check_edges(path, graph)
    total = 0
    for node in graph.node:
        for attribute in node.attr:
            where, value = f'{path}: {node.name}: {attribute.key}', attribute.value
            if value.HasField('func') or value.list.func:
                raise ArtefactError(f'{where}: a function; expected none')
            if node.op == 'Const' and attribute.key == 'value':
                total += _constant_size(where, value.tensor)
    if total > _MAX_CONSTANTS:
        raise ArtefactError(
            f'{path}: expected constants of at most {_MAX_CONSTANTS // 2**30} GB, found '
            f'{min(total, 2**60) / 2**30:.3g} GB declared'
        )


def _check_edges(path: Path, graph: Any) -> None:
    """Raises ArtefactError for what readers would compute, at any cost, as they load the graph."""
    # Control inputs only order operations: readers pass over them.
    sources = {
        node.name: [node_of(name) for name in node.input if name[:1] != '^'] for node in graph.node
    }
    if len(sources) < len(graph.node):
        raise ArtefactError(
            f'{path}: expected a name of its own for each of {len(graph.node)} nodes'
        )
    constants = {node.name for node in graph.node if node.op == 'Const'}
    readers: dict[str, list[str]] = {}
    for name, inputs in sources.items():
        for source in inputs:
            readers.setdefault(source, []).append(name)
    varying: set[str] = set()
    waiting = [node.name for node in graph.node if node.op == 'Placeholder']
    while waiting:
        if (name := waiting.pop()) not in varying:
            varying.add(name)
            waiting += readers.get(name, [])
    for node in graph.node:
        where = f'{path}: {node.name}: {node.op}'
        inputs = sources[node.name]
        if node.op in _HEAVY_OPS and node.name not in varying:
            raise ArtefactError(f'{where} of constants only; expected what it gives')
        for i in _SIZES.get(node.op, ()):
            if inputs[i:] and inputs[i] not in constants:
                raise ArtefactError(f'{where}: expected a constant as input {i}, found {inputs[i]}')


def node_of(name: str) -> str:
    """The node that a name in `input` means, without its output's number or a control mark."""
    return name.split(':')[0].removeprefix('^')


def _constant_size(where: str, tensor: Any) -> int:
    if tensor.dtype not in _ITEM_SIZES:
        raise ArtefactError(f'{where}: expected a constant of numbers, found type {tensor.dtype}')
    sizes = [dimension.size for dimension in tensor.shape.dim]
    if any(size < 0 for size in sizes):
        raise ArtefactError(f'{where}: expected a constant of known sizes, found {sizes}')
    return math.prod(sizes) * _ITEM_SIZES[tensor.dtype]


@functools.cache
def _graph_message() -> Any:
    """The class of TensorFlow's GraphDef, without the fields that nobody looks at.

    Numbers and types are those of tensorflow/core/framework/{graph,node_def,attr_value,tensor,
    tensor_shape,function}.proto; a part that only has to be seen is bytes.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name='mattingjax/graph.proto', package='mattingjax', syntax='proto3'
    )
    scalars = {'string': types.TYPE_STRING, 'bytes': types.TYPE_BYTES, 'int': types.TYPE_INT64}
    for message, fields in {
        'Graph': {'node': (1, '*Node'), 'library': (2, 'Library')},
        'Node': {
            'name': (1, 'string'),
            'op': (2, 'string'),
            'input': (3, '*string'),
            'attr': (5, '*Attribute'),
        },
        'Attribute': {'key': (1, 'string'), 'value': (2, 'Value')},
        'Value': {'tensor': (8, 'Tensor'), 'func': (10, 'Opaque'), 'list': (1, 'List')},
        'List': {'func': (9, '*bytes')},
        'Tensor': {'dtype': (1, 'int'), 'shape': (2, 'Shape')},
        'Shape': {'dim': (2, '*Dimension')},
        'Dimension': {'size': (1, 'int')},
        'Library': {'function': (1, '*Function')},
        'Function': {'signature': (1, 'Signature')},
        'Signature': {'name': (1, 'string')},
        'Opaque': {},
    }.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            field = described.field.add(name=name, number=number)
            field.label = types.LABEL_REPEATED if kind[0] == '*' else types.LABEL_OPTIONAL
            kind = kind.removeprefix('*')
            if kind in scalars:
                field.type = scalars[kind]
            else:
                field.type, field.type_name = types.TYPE_MESSAGE, f'.mattingjax.{kind}'
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName('mattingjax.Graph'))
