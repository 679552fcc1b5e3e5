"""The tables of a FlatBuffer, every offset of which is checked before it is followed.

LiteRT 2.3 verifies offsets too when it loads a file, but only after what is done here. That many
offsets lead to one place is in order, and makes a small file a large one. So a list has at most so
many elements, and what is read in all is bounded by the file's size.

References:
  https://flatbuffers.dev/internals
"""

from __future__ import annotations

import struct

import numpy as np

_FIRST_SLOT = 4  # bytes of a table of slots before its first
_MOST_SLOTS = 2**6  # the schema's largest table has 14
# Tables share their tables of slots, which are hardly longer than they are, and little else.
_MOST_READS = 4  # of each byte of a file, in the mean


class _File:
    """The bytes of a file, and how many more of them may be read."""

    def __init__(self, content: bytes):
        self.content, self._left = content, _MOST_READS * len(content)

    def claim(self, place: int, size: int) -> None:
        """Raises ValueError unless these bytes lie in the file, and are not read too often."""
        if place < 0 or place + size > len(self.content):
            raise ValueError('an offset that leads out of the file')
        self._left -= size
        if self._left < 0:
            raise ValueError('parts that lie on each other')

    def claim_number(self, code: str, place: int) -> int:
        """A number of the type that `struct` names so; claims its bytes."""
        self.claim(place, struct.calcsize(code))
        return self.number(code, place)

    def number(self, code: str, place: int) -> int:
        """A number among what is claimed already."""
        return struct.unpack_from(code, self.content, place)[0]

    def follow(self, place: int) -> int:
        """Where an offset leads to that is claimed already."""
        return place + self.number('<I', place)


class Table:
    """One table of a FlatBuffer; what it does not hold has a default.

    Args:
      file: The whole file.
      position: Where the table begins.

    Raises:
      ValueError: It, or one of its fields, does not lie within the file.
    """

    def __init__(self, file: _File, position: int):
        self._file, self._position = file, position
        start = position - file.claim_number('<i', position)
        length = file.claim_number('<H', start)
        self._end = file.claim_number('<H', start + 2)
        count, rest = divmod(length - _FIRST_SLOT, 2)
        if not 0 <= count <= _MOST_SLOTS or rest or self._end < 4:
            raise ValueError('a table of a wrong size')
        file.claim(start, length)
        file.claim(position, self._end)
        self._slots = struct.unpack_from(f'<{count}H', file.content, start + _FIRST_SLOT)
        if any(offset and not 4 <= offset < self._end for offset in self._slots):
            raise ValueError('a field outside of its table')

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
        return default if place is None else self._file.number(f'<{code}', place)

    def numbers(self, slot: int, dtype: str, most: int) -> np.ndarray:
        """An array of at most so many numbers, [N], of a little-endian NumPy type; empty if none.

        It is a view of the file.
        """
        place, count = self._vector(slot, np.dtype(dtype).itemsize, most)
        return np.frombuffer(self._file.content, dtype, count, place)

    def text(self, slot: int, most: int) -> str:
        """A text of at most so many bytes; empty where there is none."""
        place, count = self._vector(slot, 1, most)
        if count and self._file.claim_number('<B', place + count):
            raise ValueError('a text without an end')
        return self._file.content[place : place + count].decode()

    def table(self, slot: int) -> Table | None:
        """A table in this one."""
        place = self._find(slot, 4)
        return None if place is None else Table(self._file, self._file.follow(place))

    def tables(self, slot: int, most: int) -> list[Table]:
        """A list of tables, of at most so many; empty where there is none."""
        place, count = self._vector(slot, 4, most)
        return [Table(self._file, self._file.follow(place + 4 * i)) for i in range(count)]

    def _find(self, slot: int, size: int) -> int | None:
        """Where a field of a number of bytes lies; None where the table does not hold it."""
        if slot >= len(self._slots) or not (offset := self._slots[slot]):
            return None
        if offset + size > self._end:
            raise ValueError('a field outside of its table')
        if (self._position + offset) % size:
            raise ValueError('a field that is not aligned')
        return self._position + offset

    def _vector(self, slot: int, size: int, most: int) -> tuple[int, int]:
        """Where the elements of an array lie, and how many there are, of a number of bytes each."""
        place = self._find(slot, 4)
        if place is None:
            return 0, 0
        start = self._file.follow(place)
        if (count := self._file.claim_number('<I', start)) > most:
            raise ValueError(f'a list of {count}, expected at most {most}')
        self._file.claim(start + 4, count * size)
        if (start + 4) % size:
            raise ValueError('an array that is not aligned')
        return start + 4, count


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
    return Table(_File(content), int.from_bytes(content[:4], 'little'))
