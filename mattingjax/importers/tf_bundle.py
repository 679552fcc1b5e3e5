"""Reads a TensorFlow checkpoint, PREFIX.index and PREFIX.data-…, without TensorFlow.

TensorFlow's reader ends the process on an impossible shape and allocates memory for any shape, so
it must not get a damaged or hostile file. The format is simple: the index is a sorted LevelDB table
from names to protocol buffers with type, shape and position, and the data files hold the numbers.

References:
  https://github.com/google/leveldb/blob/main/doc/table_format.md
  tensorflow/core/protobuf/tensor_bundle.proto
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np

from mattingjax.errors import WeightsError
from mattingjax.inference.screening.protobuf import read_fields, read_varint

_MAGIC, _FOOTER, _TRAILER = 0xDB4775248B80FB57, 48, 5
_MAX_INDEX, _MAX_DATA = 2**24, 2**25  # bytes; MMNet of width 1.4 takes 54 kB and 1.5 MB
_MAX_ENTRIES, _MAX_NAME = 50_000, 1_000
_MAX_DIMENSIONS, _MAX_SHARDS = 8, 1_000

# The types by their numbers in tensorflow/core/framework/types.proto.
_DTYPES = {
    1: np.dtype(np.float32), 2: np.dtype(np.float64), 3: np.dtype(np.int32), 4: np.dtype(np.uint8),
    5: np.dtype(np.int16), 6: np.dtype(np.int8), 9: np.dtype(np.int64), 10: np.dtype(np.bool_),
    14: np.dtype(ml_dtypes.bfloat16), 19: np.dtype(np.float16),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Entry:
    """The entry of a tensor in the index.

    Attributes:
      dtype: TensorFlow's number of the tensor's type.
      shape: The tensor's shape.
      shard: The number of the data file that holds it.
      offset: Position of its first byte in the data file.
      size: Its length in bytes.
      checksum: Masked CRC-32C of its bytes.
      is_plain: Whether it is stored in one piece and its shape is known.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    is_plain: bool


class TensorBundle:
    """A checkpoint whose index has been read and checked.

    Args:
      prefix: The path of the checkpoint without `.index` or `.data-…`.

    Attributes:
      entries: Name → entry of each tensor.

    Raises:
      WeightsError: The index is damaged; the message does not name the file.
      OSError: The index cannot be read.
    """

    def __init__(self, prefix: Path) -> None:
        index = prefix.with_name(f'{prefix.name}.index')
        if (size := index.stat().st_size) > _MAX_INDEX:
            raise WeightsError(f'its index has {size} bytes, expected at most {_MAX_INDEX}')
        try:
            values = dict(_read_table(index.read_bytes()))
            header = dict(read_fields(values.pop(b'')))
            self.entries = {key.decode(): _read_entry(value) for key, value in values.items()}
        except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
            if isinstance(error, WeightsError):
                raise
            problem = f'{type(error).__name__}: {error}'
            raise WeightsError(f'its index is damaged ({problem:.100})') from error
        shards = header.get(1, 0)
        if not isinstance(shards, int) or not 1 <= shards <= _MAX_SHARDS:
            raise WeightsError(f'its index tells of {shards!r:.40} data files')
        if header.get(2, 0):
            raise WeightsError('it was written by a big-endian machine, which is not read')
        self._prefix, self._shards, self._left = prefix, shards, _MAX_DATA

    def read(self, name: str) -> np.ndarray:
        """Reads the tensor of a name.

        Raises:
          WeightsError: The entry is no plain tensor or is damaged, or all tensors read so far take
            over 32 MB.
          OSError: The data file cannot be read.
        """
        entry = self.entries[name]
        dtype = _DTYPES.get(entry.dtype)
        if dtype is None or not entry.is_plain:
            raise WeightsError(
                f'{name:.80}: not a tensor; expected a checkpoint of TensorFlow 1, by names'
            )
        expected = math.prod(entry.shape) * dtype.itemsize
        if entry.size != expected:
            raise WeightsError(
                f'{name:.80}: shape {entry.shape} takes {expected} bytes, found {entry.size}'
            )
        if not expected:  # one side is 0, and NumPy may refuse the others
            raise WeightsError(f'{name:.80}: an empty tensor, of shape {entry.shape}')
        self._left -= expected
        if self._left < 0:
            raise WeightsError(f'{name:.80}: with it the tensors take over {_MAX_DATA} bytes')
        file = f'{self._prefix.name}.data-{entry.shard:05d}-of-{self._shards:05d}'
        with self._prefix.with_name(file).open('rb') as stream:
            stream.seek(entry.offset)
            content = stream.read(entry.size)
        if len(content) != entry.size:
            raise WeightsError(
                f'{name:.80}: {file:.80} has {len(content)} of its {entry.size} bytes'
            )
        if masked_crc32c(content) != entry.checksum:
            raise WeightsError(f'{name:.80}: its numbers do not have the checksum of the index')
        return np.frombuffer(
            content, dtype.newbyteorder('<') if dtype.kind != 'V' else dtype
        ).reshape(entry.shape)


def _read_table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a table, in order."""
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack('<Q', footer[-8:])[0] != _MAGIC:
        raise WeightsError('its index has not the end of one')
    _, position = _handle(footer, 0)
    (offset, size), _ = _handle(footer, position)
    count = end = 0
    for _, handle in _read_block(content, offset, size):
        (offset, size), _ = _handle(handle, 0)
        # Blocks follow one another; reading blocks that overlap could take forever.
        if offset < end:
            raise WeightsError('its index has blocks that overlap')
        end = offset + size + _TRAILER
        for key, value in _read_block(content, offset, size):
            count += 1
            if count > _MAX_ENTRIES:
                raise WeightsError(f'its index has over {_MAX_ENTRIES} entries')
            yield key, value


def _handle(content: bytes, position: int) -> tuple[tuple[int, int], int]:
    """Reads the offset and size of a block, and returns the position after them, too."""
    offset, position = read_varint(content, position)
    size, position = read_varint(content, position)
    return (offset, size), position


def _read_block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a block; a key omits the prefix it shares with the last."""
    block = content[offset : offset + size + _TRAILER]
    if len(block) != size + _TRAILER or size < 4:
        raise WeightsError('its index is cut off')
    if block[size]:
        raise WeightsError('its index is compressed, which TensorFlow does not do')
    if masked_crc32c(block[: size + 1]) != struct.unpack('<I', block[size + 1 :])[0]:
        raise WeightsError('its index does not have its own checksum')
    end = size - 4 - 4 * struct.unpack('<I', block[size - 4 : size])[0]
    position, key = 0, b''
    while position < end:
        shared, position = read_varint(block, position)
        added, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or shared + added > _MAX_NAME or position + added + length > end:
            raise WeightsError('its index has an impossible entry')
        key = key[:shared] + block[position : position + added]
        position += added
        yield key, block[position : position + length]
        position += length


def _read_entry(content: bytes) -> Entry:
    numbers = {1: 0, 3: 0, 4: 0, 5: 0}
    shape: list[int] = []
    checksum, is_plain = 0, True
    for field, value in read_fields(content):
        if field in numbers and isinstance(value, int):
            numbers[field] = value
        elif field == 2 and isinstance(value, bytes):
            for part, inner in read_fields(value):
                if part == 2 and isinstance(inner, bytes):
                    shape.append(next((n for f, n in read_fields(inner) if f == 1), 0))  # type: ignore[arg-type]
                elif part == 3:
                    is_plain = is_plain and not inner
        elif field == 6 and isinstance(value, bytes):
            (checksum,) = struct.unpack('<I', value)
        elif field == 7:
            is_plain = False
    # Numbers of 2⁶³ and more stand for negative ones.
    if len(shape) > _MAX_DIMENSIONS or not all(
        isinstance(n, int) and 0 <= n < 2**63 for n in (*shape, *numbers.values())
    ):
        raise ValueError(f'a tensor of shape {shape[:9]} at {numbers[4]}')
    return Entry(numbers[1], tuple(shape), numbers[3], numbers[4], numbers[5], checksum, is_plain)


def _make_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _make_table()


def masked_crc32c(content: bytes) -> int:
    """Computes the CRC-32C (Castagnoli) of bytes, masked as LevelDB does."""
    table, crc = _CRC_TABLE, 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
