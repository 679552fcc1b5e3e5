"""TensorFlow's checkpoints, written here byte by byte: no TensorFlow, and nothing of the reader."""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mattingjax.importers.tf_bundle import masked_crc32c

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def varint(number: int) -> bytes:
    number %= 2**64
    content = b''
    while number > 127:
        content += bytes([number & 127 | 128])
        number >>= 7
    return content + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor_entry(
    shape=ARRAY.shape, *, dtype=1, shard=0, offset=0, size=ARRAY.nbytes, checksum=None, more=b''
) -> bytes:
    checksum = masked_crc32c(ARRAY.tobytes()) if checksum is None else checksum
    dimensions = b''.join(field(2, field(1, size)) for size in shape)
    places = field(3, shard) + field(4, offset) + field(5, size)
    end = varint(6 << 3 | 5) + struct.pack('<I', checksum) + more
    return field(1, dtype) + field(2, dimensions) + places + end


def write_bundle(
    prefix: Path, entries: dict[bytes, bytes], *, shards: int = 1, per_block: int = 2**20
) -> None:
    """An index of some entries a block, each key in full but for the first letter it shares."""
    entries = {b'': field(1, shards) + field(3, field(1, 1)), **entries}
    keys = sorted(entries)
    restarts = struct.pack('<II', 0, 1)
    blocks = []
    for start in range(0, len(keys), per_block):
        block, last = b'', b''
        for key in keys[start : start + per_block]:
            shared, value = int(key[:1] == last[:1] != b''), entries[key]
            block += varint(shared) + varint(len(key) - shared) + varint(len(value))
            block, last = block + key[shared:] + value, key
        blocks.append(block + restarts)
    write_index(prefix, blocks, range(len(blocks)))
    prefix.with_name(f'{prefix.name}.data-00000-of-00001').write_bytes(ARRAY.tobytes())


def write_index(prefix: Path, blocks: list[bytes], order: Iterable[int]) -> None:
    """An index that names its blocks, by their positions, in this order."""
    content = b''

    def add(block: bytes) -> bytes:
        nonlocal content
        handle = varint(len(content)) + varint(len(block))
        content += block + b'\0' + struct.pack('<I', masked_crc32c(block + b'\0'))
        return handle

    handles = [add(block) for block in blocks]
    restarts = struct.pack('<II', 0, 1)
    empty = add(restarts)
    top = b''
    for position in order:
        handle = handles[position]
        top += varint(0) + varint(1) + varint(len(handle)) + b'\xff' + handle
    footer = (empty + add(top + restarts)).ljust(40, b'\0')
    index = content + footer + struct.pack('<Q', 0xDB4775248B80FB57)
    prefix.with_name(f'{prefix.name}.index').write_bytes(index)
