"""The bare fields of a protocol buffer: enough to look at one before its library unfolds it.

References:
  https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import math
from collections.abc import Iterator

Buffer = bytes | memoryview
# Fields that lead to numbers, and the share of these that counts as structure: nothing of what is
# no larger in memory than in the file, a part of integers, which unfold to eight times as much.
DataPath = dict[int, 'DataPath | float']
_PLAIN, _UNFOLDING = 0.0, 1 / 16
_TENSOR: DataPath = {
    4: _PLAIN, 5: _UNFOLDING, 7: _UNFOLDING, 9: _PLAIN, 10: _PLAIN, 11: _UNFOLDING
}  # fmt: skip
ONNX_DATA: DataPath = {7: {5: _TENSOR, 1: {5: {5: _TENSOR}}}}  # initializers and constants
_TF_TENSOR: DataPath = {
    4: _PLAIN, 5: _PLAIN, 6: _PLAIN, 7: _UNFOLDING, 10: _UNFOLDING, 11: _UNFOLDING, 13: _UNFOLDING
}  # fmt: skip
GRAPH_DEF_DATA: DataPath = {1: {5: {2: {8: _TF_TENSOR}}}}
# MODNet: 130 kB, the original MMNet's frozen graph: 330 kB.
MAX_STRUCTURE = 2**22
_LENGTHS = {1: 8, 5: 4}  # of the kinds that have one


def read_varint(content: Buffer, position: int) -> tuple[int, int]:
    """Reads the number at a position; returns it, in [0, 2⁶⁴), and the position behind it.

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
    """The fields of a message: the number of each, and its value, an integer or bytes.

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
    """Raises ValueError for a message that would unfold into a large memory.

    Two bytes of structure may take a hundred in memory.

    Args:
      content: The bytes of the message.
      data: The fields that hold its weights, such as `ONNX_DATA`; all else counts as structure.
    """
    if _take_structure(memoryview(content), data, MAX_STRUCTURE) < 0:
        raise ValueError(f'expected at most {MAX_STRUCTURE} bytes beside its weights')


def _take_structure(content: Buffer, data: DataPath, budget: int) -> int:
    """What a message's structure leaves of a budget of bytes; below 0 once it is spent."""
    for field, value in read_fields(content):
        budget -= 2  # at least, for its tag and its length
        if not isinstance(value, int):
            inner = data.get(field, 1.0)
            if isinstance(inner, dict):
                budget = _take_structure(value, inner, budget)
            else:
                budget -= math.ceil(len(value) * inner)
        if budget < 0:
            break
    return budget
