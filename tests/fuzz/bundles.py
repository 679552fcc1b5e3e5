"""TensorFlow 1's checkpoints: indices whose checksums are right and whose content is not."""

import shutil
import struct
from pathlib import Path

import numpy as np

from mattingjax.importers import import_weights
from mattingjax.importers.tf_checkpoint import read_tensorflow_tensors
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import NUMBERS, mutate_bytes
from tests.tf_bundles import ARRAY, field, tensor_entry, varint, write_bundle, write_index

_PREFIX = 'model'
_NAMES = (
    b'MMNet/init_block/conv/weights', b'MMNet/final_block/pointwise_conv/biases', b'global_step',
    b'a/Adam', b'../outside', b'\xff\xfe', b'x' * 999, b'', b'a\nb', '\u202e'.encode(),
)  # fmt: skip


def write_samples(folder: Path) -> None:
    entries = {b'a/weights': tensor_entry(), b'b/biases': tensor_entry((6,)), b'a/Adam': b''}
    write_bundle(folder / _PREFIX, entries, per_block=2)


def make_bundle(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    prefix = folder / _PREFIX
    shutil.copytree(samples, folder, dirs_exist_ok=True)
    choice = rng.integers(5)
    if choice == 0:
        files = sorted(folder.iterdir())
        file, other = (files[i] for i in rng.integers(len(files), size=2))
        file.write_bytes(mutate_bytes(rng, file.read_bytes(), other.read_bytes()))
    elif choice == 1:
        _write_blocks(rng, prefix)
    else:
        names = {_NAMES[i] for i in rng.integers(len(_NAMES), size=3)} - {b''}
        shards = _number(rng) if rng.integers(4) == 0 else 1
        write_bundle(
            prefix,
            {name: _entry(rng) for name in names},
            shards=shards,
            per_block=int(rng.integers(1, 4)),
        )


def _number(rng: np.random.Generator) -> int:
    return int(NUMBERS[rng.integers(len(NUMBERS))])


def _entry(rng: np.random.Generator) -> bytes:
    """One whose numbers are others, in half of the cases damaged as bytes too."""
    rank = int(rng.choice([0, 1, 2, 4, 9, 300]))
    shape = [_number(rng) if rng.integers(2) else int(rng.integers(4)) for _ in range(rank)]
    changes = {
        name: _number(rng) for name in ('dtype', 'shard', 'offset', 'size') if rng.integers(4) == 0
    }
    if rng.integers(4) == 0:
        changes['more'] = field(int(rng.integers(1, 9)), rng.bytes(int(rng.integers(20))))
    entry = tensor_entry(ARRAY.shape if rng.integers(2) else shape, **changes)
    return mutate_bytes(rng, entry) if rng.integers(2) else entry


def _write_blocks(rng: np.random.Generator, prefix: Path) -> None:
    """Blocks of anything under a checksum that is right, in any order, many times."""
    restarts = struct.pack('<II', 0, 1)
    key = varint(0) + varint(1) + varint(3) + b'a' + b'\x08\x01\x00'
    blocks = [mutate_bytes(rng, key * int(rng.choice([1, 100])) + restarts) for _ in range(3)]
    if rng.integers(4) == 0:
        blocks[0] = bytes(100_000) + struct.pack('<I', _number(rng) % 2**32)
    write_index(prefix, blocks, rng.integers(3, size=int(rng.choice([1, 3, 5_000]))))


def use_bundle(folder: Path) -> None:
    tensors, _ = read_tensorflow_tensors(folder / _PREFIX)
    if not all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        raise MalformedError('not arrays')
    import_weights(folder / f'{_PREFIX}.index')
