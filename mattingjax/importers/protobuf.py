"""The outermost layer of a protocol buffer: enough to look at one before its library unfolds it.

References:
  https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

Buffer = bytes | memoryview
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
