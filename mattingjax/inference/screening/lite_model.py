"""LiteRT models: one graph of known operations, fixed sizes, and nothing that lies elsewhere.

LiteRT checks that the offsets of a file lead into it, but hardly what it says: kernels trust
strides, axes and scales, and end the process where these are wrong. Here the file is read without
it, every number that its kernels would trust is looked at, and the shape of each tensor is computed
once more. Numbers are those of tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening.file_checks import check_file_size
from mattingjax.inference.screening.flat_tables import Table, root_table
from mattingjax.inference.screening.lite_operations import (
    CONVOLUTIONS,
    KINDS,
    Kind,
    check_operation,
)
from mattingjax.inference.screening.lite_shapes import TYPES, Options, Tensor, pool_window
from mattingjax.inference.screening.memory import MAX_MEMORY, Step, in_gigabytes
from mattingjax.inference.screening.work import count_work

_VERSION = 3
_MOST_TABLES = 2**15  # of a list; MODNet has 446 tensors
_MAX_RANK = 4
_MAX_ENDS = 2**6  # of an operation or of the graph
_MAX_NAME = 2**12  # bytes; those of MODNet have 212
_MAX_SIGNATURES = 2**3
_MAX_METADATA = 2**6  # entries; LiteRT copies the content of each
# So that kernels can divide the product of two scales by a third: 2¹²⁰ is still a float32. A bias's
# scale is such a product.
_MAX_SCALE, _MAX_BIAS_SCALE = 2.0**40, 2.0**80


class Operation(NamedTuple):
    """An operation of a LiteRT model.

    Attributes:
      kind: What it computes.
      inputs: The numbers of the tensors that it reads.
      output: The number of the tensor that it makes.
      options: Its options.
    """

    kind: Kind
    inputs: tuple[int, ...]
    output: int
    options: Options


class LiteModel(NamedTuple):
    """What there is to know of a LiteRT model.

    Attributes:
      content: The file.
      tensors: Its tensors.
      operations: Its operations, in an order in which they can be run.
      inputs, outputs: The numbers of the tensors that it takes and gives.
      metadata: Name → content of what it says of itself, uint8 [N].
    """

    content: bytes
    tensors: list[Tensor]
    operations: list[Operation]
    inputs: list[int]
    outputs: list[int]
    metadata: dict[str, np.ndarray]


def read_lite_model(source: Path | str | bytes) -> LiteModel:
    """Reads a `.tflite` file, or the content of one.

    Raises:
      ArtefactError: It is damaged, or holds what no matting network needs.
    """
    if isinstance(source, bytes):
        where, content = 'a LiteRT model', source
    else:
        path = Path(source)
        check_file_size(path)
        where, content = str(path), path.read_bytes()
    try:
        return _parse(content)
    except (ValueError, IndexError) as error:
        raise ArtefactError(f'{where}: LiteRT cannot read it ({error})') from error
    except MemoryError as error:
        raise ArtefactError(f'{where}: it would need too much memory') from error


def _parse(content: bytes) -> LiteModel:
    model = root_table(content, b'TFL3')
    model.refuse_others(0, 1, 2, 3, 4, 5, 6, 7)
    model.text(3, _MAX_NAME)
    model.numbers(5, '<i4', _MAX_METADATA)
    if (version := model.number(0, 'I')) != _VERSION:
        raise ValueError(f'expected version {_VERSION}, found {version}')
    graphs = model.tables(2, _MOST_TABLES)
    if len(graphs) != 1:
        raise ValueError(f'expected one graph, found {len(graphs)}')
    buffers = _read_buffers(model)
    kinds = [_read_kind(table) for table in model.tables(1, _MOST_TABLES)]
    (graph,) = graphs
    graph.refuse_others(0, 1, 2, 3, 4, 5)
    graph.text(4, _MAX_NAME)
    tensors = [_read_tensor(table, buffers) for table in graph.tables(0, _MOST_TABLES)]
    inputs, outputs = (graph.numbers(slot, '<i4', _MAX_ENDS).tolist() for slot in (1, 2))
    if any(not 0 <= i < len(tensors) or tensors[i].data is not None for i in inputs):
        raise ValueError(f'expected tensors without content as inputs, found {inputs[:9]}')
    operations = list(_read_operations(graph.tables(3, _MOST_TABLES), kinds, tensors, inputs))
    made = {operation.output for operation in operations}
    if not made.issuperset(outputs) or made.intersection(inputs):
        raise ValueError('an output that nothing makes')
    for table in model.tables(7, _MAX_SIGNATURES):
        _check_signature(table, inputs, outputs)
    metadata = _read_metadata(model, buffers)
    return LiteModel(content, tensors, operations, inputs, outputs, metadata)


def _read_buffers(model: Table) -> list[np.ndarray]:
    tables = model.tables(4, _MOST_TABLES)
    for table in tables:
        table.refuse_others(0)
    buffers = [table.numbers(0, 'u1', MAX_MEMORY) for table in tables]
    if buffers and len(buffers[0]):  # LiteRT takes what is in it for absent
        raise ValueError(f'expected nothing in buffer 0, found {len(buffers[0])} bytes')
    return buffers


def _read_metadata(model: Table, buffers: list[np.ndarray]) -> dict[str, np.ndarray]:
    entries = model.tables(6, _MAX_METADATA)
    numbers = [table.number(1, 'I') for table in entries]
    if len({*numbers}) != len(numbers):
        raise ValueError('expected metadata with a buffer of its own for each entry')
    return {
        table.text(0, _MAX_NAME): buffers[number]
        for table, number in zip(entries, numbers, strict=True)
    }


def _check_signature(table: Table, inputs: list[int], outputs: list[int]) -> None:
    """Raises ValueError unless a signature names the tensors that the graph takes and gives."""
    table.refuse_others(0, 1, 2, 4)
    table.text(2, _MAX_NAME)
    for slot, numbers in ((0, inputs), (1, outputs)):
        ends = table.tables(slot, _MAX_ENDS)
        for end in ends:
            end.refuse_others(0, 1)
            end.text(0, _MAX_NAME)
        if sorted(end.number(1, 'I') for end in ends) != sorted(numbers):
            raise ValueError(f'a signature of other tensors than the graph, {numbers[:9]}')
    if graph := table.number(4, 'I'):
        raise ValueError(f'a signature of graph {graph}, which is not there')


def _read_kind(table: Table) -> Kind:
    table.refuse_others(0, 2, 3)
    number = max(table.number(0, 'b'), table.number(3, 'i'))
    if number not in KINDS:
        raise ValueError(f'operation {number} is none of a matting network')
    return KINDS[number]


def _read_tensor(table: Table, buffers: list[np.ndarray]) -> Tensor:
    name = table.text(3, _MAX_NAME)
    table.refuse_others(0, 1, 2, 3, 4, 7, 8)
    try:
        return _check_tensor(name, table, buffers[table.number(2, 'I')])
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from error


def _check_tensor(name: str, table: Table, content: np.ndarray) -> Tensor:
    shape = tuple(table.numbers(0, '<i4', _MAX_RANK).tolist())
    declared = tuple(table.numbers(7, '<i4', _MAX_RANK).tolist())
    if min(shape, default=1) < 1 or declared not in ((), shape):
        raise ValueError(f'expected sides of a fixed size, found {list(shape)}')
    if (number := table.number(1, 'b')) not in TYPES:
        raise ValueError(f'expected a tensor of {", ".join(TYPES.values())}, found type {number}')
    dtype = np.dtype(TYPES[number]).newbyteorder('<')
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_MEMORY:
        raise ValueError(in_gigabytes(size))
    data = None
    if len(content):
        if len(content) != size:
            raise ValueError(f'expected {size} bytes for {list(shape)}, found {len(content)}')
        data = content.view(dtype)
    largest = _MAX_BIAS_SCALE if TYPES[number] == 'int32' else _MAX_SCALE
    return Tensor(name, shape, TYPES[number], data, *_read_scales(table.table(4), shape, largest))


def _read_scales(
    table: Table | None, shape: tuple[int, ...], largest: float
) -> tuple[np.ndarray, np.ndarray, int]:
    if table is None:
        return np.zeros(0), np.zeros(0), 0
    table.refuse_others(0, 1, 2, 3, 6)
    if (axis := table.number(6)) and not 0 <= axis < len(shape):
        raise ValueError(f'expected scales along one of {len(shape)} sides, found {axis}')
    channels = shape[axis] if shape else 1
    for slot in (0, 1):  # the smallest and largest values, which nobody reads
        table.numbers(slot, '<f4', channels)
    scales, zeros = table.numbers(2, '<f4', channels), table.numbers(3, '<i8', channels)
    if len(scales) != len(zeros) or len(scales) not in (0, 1, channels):
        raise ValueError(
            f'expected one scale and zero or {channels}, found {len(scales)} and {len(zeros)}'
        )
    fits = (scales >= 1 / largest) & (scales <= largest)  # false for what is no number
    if not fits.all():
        raise ValueError(
            f'expected scales of {1 / largest:.3g} to {largest:.3g}, found {scales[~fits][0]:.3g}'
        )
    fits = (zeros >= -128) & (zeros <= 127)
    if not fits.all():
        raise ValueError(f'expected zeros of -128 to 127, found {zeros[~fits][0]}')
    return scales, zeros, axis


def _read_operations(
    operators: list[Table], kinds: list[Kind], tensors: list[Tensor], inputs: list[int]
) -> Iterator[Operation]:
    """Reads operations, each of which may read what is there when its turn comes."""
    fixed = {i for i, tensor in enumerate(tensors) if tensor.data is not None}
    there = {*fixed, *inputs}
    for table in operators:
        table.refuse_others(0, 1, 2, 3, 4, 6, 13)
        kind = kinds[table.number(0, 'I')]
        read, made = (table.numbers(slot, '<i4', _MAX_ENDS).tolist() for slot in (1, 2))
        if len(made) != 1 or made[0] in there:
            raise ValueError(f'{kind.name}: expected one output of its own, found {made[:9]}')
        if not there.issuperset(read) or not 0 <= made[0] < len(tensors):
            raise ValueError(f'{kind.name}: it reads {read[:9]}, some of which is not there yet')
        there.update(made)
        if kind.name == 'DEQUANTIZE' and fixed.issuperset(read):
            fixed.update(made)
        if kind.name in CONVOLUTIONS and not fixed.issuperset(read[1:]):
            raise ValueError(f'{kind.name}: expected constants as its weights')
        options = Options(table.table(4))
        name = tensors[made[0]].name
        try:
            check_operation(
                kind,
                [tensors[i] for i in read],
                [tensors[i] for i in made],
                options,
                table.number(3, 'B'),
            )
        except ValueError as error:
            raise ValueError(f'{name} ({kind.name}): {error}') from error
        yield Operation(kind, tuple(read), made[0], options)


def list_lite_steps(model: LiteModel) -> Iterator[Step]:
    """The operations of a LiteRT model, and its constants before them.

    Each convolution has its weights once more, in the order that its kernel takes them in.
    """
    for i, tensor in enumerate(model.tensors):
        if tensor.data is not None:
            yield Step(tensor.name, [], {str(i): tensor.data.nbytes})
    for operation in model.operations:
        tensor = model.tensors[operation.output]
        if operation.kind.name in CONVOLUTIONS:
            packed = sum(_size(model.tensors[i]) for i in operation.inputs[1:])
            yield Step(f'{tensor.name} (weights)', [], {f'{operation.output} packed': packed})
        yield Step(
            f'{tensor.name} ({operation.kind.name})',
            [str(i) for i in operation.inputs],
            {str(operation.output): _size(tensor)},
            _count_work(model, operation),
        )


def _size(tensor: Tensor) -> int:
    """Bytes of its elements."""
    return math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize


def _count_work(model: LiteModel, operation: Operation) -> int:
    """Its work, counted as that of the operation of the same arithmetic elsewhere."""
    inputs = [model.tensors[i].shape for i in operation.inputs]
    outputs = [model.tensors[operation.output].shape]
    name = operation.kind.name
    if name == 'CONV_2D':
        return count_work('Convolution', inputs, outputs)
    if name == 'DEPTHWISE_CONV_2D':
        return count_work('DepthwiseConv2dNative', [inputs[0], inputs[1][1:]], outputs)
    if name.endswith('POOL_2D'):
        return count_work('AvgPool', inputs, outputs, pool_window(operation.options))
    return count_work('Identity', inputs, outputs)
