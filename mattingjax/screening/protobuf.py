"""The bare fields of a protocol buffer: enough to look at one before its library unfolds it.

References:
  https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

Buffer = bytes | memoryview
# Fields that lead to numbers, which take no more memory than they do in a file; None: they do.
DataPath = dict[int, 'DataPath | None']
_TENSOR: DataPath = {4: None, 9: None, 10: None}
ONNX_DATA: DataPath = {7: {5: _TENSOR, 1: {5: {5: _TENSOR}}}}  # initializers and constants
GRAPH_DEF_DATA: DataPath = {1: {5: {2: {8: {4: None, 5: None, 6: None}}}}}
# MODNet: 130 kB, the original MMNet's frozen graph: 330 kB.
MAX_STRUCTURE = 2**22
_LENGTHS = {1: 8, 5: 4}  # of the kinds that have one


def read_varint(content: Buffer, position: int) -> tuple[int, int]:
    """The number there, in [0, 2⁶⁴), and the position behind it.

    Raises:
      ValueError: It has no end.
      IndexError: It is cut off.
    """
    value = 0
    for i in range(10):
        byte = content[position + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value & (2**64 - 1), position + i + 1
    raise ValueError('a number without an end')


def read_fields(content: Buffer) -> Iterator[tuple[int, int | Buffer]]:
    """The numbers of the fields of a message, each with its number or its bytes.

    Raises:
      ValueError: It is damaged.
      IndexError: It is cut off.
    """
    position = 0
    while position < len(content):
        tag, position = read_varint(content, position)
        kind = tag & 7
        if kind == 0:
            value, position = read_varint(content, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, position = read_varint(content, position)
        elif kind in _LENGTHS:
            length = _LENGTHS[kind]
        else:
            raise ValueError(f'a field of kind {kind}')
        if position + length > len(content):
            raise ValueError('a field that is cut off')
        yield tag >> 3, content[position : position + length]
        position += length


def check_structure(content: Buffer, data: DataPath) -> None:
    """Raises ValueError for what would unfold into a large memory: a hundred bytes for two.

    Args:
      content: A message.
      data: Where its numbers are: `ONNX_DATA`, say. All else counts.
    """
    if _take_structure(memoryview(content), data, MAX_STRUCTURE) < 0:
        raise ValueError(f'expected at most {MAX_STRUCTURE} bytes beside its weights')


def _take_structure(content: Buffer, data: DataPath, budget: int) -> int:
    """What is left of a budget of bytes; less than 0 as soon as it is spent."""
    for field, value in read_fields(content):
        budget -= 2  # at least: its tag, its length
        if not isinstance(value, int):
            inner = data.get(field, {})
            if inner:
                budget = _take_structure(value, inner, budget)
            elif inner is not None:
                budget -= len(value)
        if budget < 0:
            break
    return budget
