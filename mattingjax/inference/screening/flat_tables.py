"""The tables of a FlatBuffer, every offset of which is checked before it is followed.

C++ follows offsets without looking: a file with a wrong one ends the process.

References:
  https://flatbuffers.dev/internals
"""

from __future__ import annotations

import struct

import numpy as np

_FIRST_SLOT = 4  # bytes of a table of slots before its first


class Table:
    """One table of a FlatBuffer; what it does not hold has a default.

    Args:
      content: The whole file.
      position: Where the table begins.

    Raises:
      ValueError: It does not lie within the file.
    """

    def __init__(self, content: bytes, position: int):
        self._content, self._position = content, position
        start = position - self._unpack('<i', position)
        length, self._end = self._unpack('<H', start), self._unpack('<H', start + 2)
        if length < _FIRST_SLOT or length % 2 or self._end < 4:
            raise ValueError('a table of a wrong size')
        self._check(start, length)
        self._check(position, self._end)
        self._slots = struct.unpack_from(f'<{(length - _FIRST_SLOT) // 2}H', content, start + 4)

    def refuse_others(self, *known: int) -> None:
        """Raises ValueError if it holds a field beside those of these numbers."""
        others = [i for i, offset in enumerate(self._slots) if offset and i not in known]
        if others:
            raise ValueError(f'a field of number {others[0]}, which no matting network needs')

    def number(self, slot: int, code: str = 'i', default: int = 0) -> int:
        """A number.

        Args:
          slot: The field's number.
          code: The number's type, as `struct` names it.
          default: What it is where the table does not hold it.
        """
        place = self._find(slot, struct.calcsize(f'<{code}'))
        return default if place is None else self._unpack(f'<{code}', place)

    def numbers(self, slot: int, dtype: str) -> np.ndarray:
        """An array of numbers, [N], of a little-endian NumPy type; empty where there is none."""
        size = np.dtype(dtype).itemsize
        place, count = self._vector(slot, size)
        return np.frombuffer(self._content, dtype, count, place)

    def text(self, slot: int) -> str:
        """A text; empty where there is none."""
        place, count = self._vector(slot, 1)
        self._check(place, count + 1)
        if count and self._content[place + count]:
            raise ValueError('a text without an end')
        return self._content[place : place + count].decode()

    def table(self, slot: int) -> Table | None:
        """A table in this one."""
        place = self._find(slot, 4)
        return None if place is None else Table(self._content, self._follow(place))

    def tables(self, slot: int, most: int) -> list[Table]:
        """A list of tables, of at most so many; empty where there is none."""
        place, count = self._vector(slot, 4)
        if count > most:
            raise ValueError(f'a list of {count}, expected at most {most}')
        return [Table(self._content, self._follow(place + 4 * i)) for i in range(count)]

    def _find(self, slot: int, size: int) -> int | None:
        """Where a field of a number of bytes lies; None where the table does not hold it."""
        if slot >= len(self._slots) or not (offset := self._slots[slot]):
            return None
        if offset < 4 or offset + size > self._end:
            raise ValueError('a field outside of its table')
        if (self._position + offset) % size:
            raise ValueError('a field that is not aligned')
        return self._position + offset

    def _vector(self, slot: int, size: int) -> tuple[int, int]:
        """Where the elements of an array lie, and how many there are, of a number of bytes each."""
        place = self._find(slot, 4)
        if place is None:
            return 0, 0
        start = self._follow(place)
        count = self._unpack('<I', start)
        self._check(start + 4, count * size)
        if (start + 4) % size:
            raise ValueError('an array that is not aligned')
        return start + 4, count

    def _follow(self, place: int) -> int:
        return place + self._unpack('<I', place)

    def _unpack(self, code: str, place: int) -> int:
        self._check(place, struct.calcsize(code))
        return struct.unpack_from(code, self._content, place)[0]

    def _check(self, place: int, size: int) -> None:
        if place < 0 or place + size > len(self._content):
            raise ValueError('an offset that leads out of the file')


def root_table(content: bytes, identifier: bytes) -> Table:
    """The table that holds all others.

    Args:
      content: The whole file.
      identifier: The four bytes that say what kind of file it is.

    Raises:
      ValueError: It is another kind of file, or cut off.
    """
    if content[4:8] != identifier:
        raise ValueError(f'expected {identifier.decode()} as its bytes 4 to 8')
    return Table(content, int.from_bytes(content[:4], 'little'))
