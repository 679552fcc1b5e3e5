"""Foreign weights and checkpoints: hostile pickles, prune infos, damaged folders."""

import io
import json
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np

from mattingjax import load_checkpoint, save_checkpoint
from mattingjax.importers import import_weights
from mattingjax.importers.modnet_names import read_prune_info
from mattingjax.importers.torch_file import LEGACY_MAGIC, LEGACY_PROTOCOL, read_torch_tensors
from mattingjax.networks import MMNetConfig, create_model_config
from mattingjax.process.checksums import SUMS_FILE
from tests.conftest import random_checkpoint
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import NUMBERS, mutate_bytes, mutate_json, nested
from tests.torch_files import write_state_dict

_STATE = {
    'module.backbone.model.features.0.0.weight': np.ones((4, 3, 3, 3), np.float32),
    'module.backbone.model.features.0.1.running_var': np.ones(4, np.float32),
    'module.lr_branch.se_block.fc.0.weight': np.zeros((2, 8), np.float32),
}


def write_weights(folder: Path) -> None:
    write_state_dict(folder / 'state.ckpt', _STATE)
    legacy = [LEGACY_MAGIC, LEGACY_PROTOCOL, {'little_endian': True}, {'epoch': 3}, ['0']]
    content = b''.join(pickle.dumps(part, protocol=2) for part in legacy)
    (folder / 'legacy.ckpt').write_bytes(content + struct.pack('<q4f', 4, 1, 2, 3, 4))


def make_pickle(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    """One in three is a damaged file, the others are programs of a pickle's instructions."""
    whole = (samples / 'state.ckpt').read_bytes()
    path = folder / 'weights.ckpt'
    if rng.integers(3) == 0:
        legacy = (samples / 'legacy.ckpt').read_bytes()
        path.write_bytes(
            mutate_bytes(rng, *((whole, legacy) if rng.integers(2) else (legacy, whole)))
        )
        return
    if rng.integers(3) == 0:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            program = mutate_bytes(rng, archive.read('archive/data.pkl'))
    else:
        program = _PROGRAMS[rng.integers(len(_PROGRAMS))](rng)
    if rng.integers(4) == 0:
        parts = (LEGACY_MAGIC, LEGACY_PROTOCOL, {})
        path.write_bytes(b''.join(pickle.dumps(part, 2) for part in parts) + program)
        return
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', program)
        archive.writestr('archive/data/0', bytes(int(rng.choice([0, 16, 1 << 20]))))


def _text(text: str) -> bytes:
    content = text.encode('utf-8', 'surrogatepass')
    return b'X' + struct.pack('<I', len(content)) + content


def _number(number: int) -> bytes:
    return pickle.dumps(number, 2)[2:-1]


def _storage(kind: bytes, key: bytes, count: bytes) -> bytes:
    return b'(' + _text('storage') + kind + key + _text('cpu') + count + b'tQ'


def _tensor(storage: bytes, offset: bytes, size: bytes, stride: bytes) -> bytes:
    call = b'ctorch._utils\n_rebuild_tensor_v2\n('
    return call + storage + offset + size + stride + b'\x89' + b'NtR'


_FLOATS = b'ctorch\nFloatStorage\n'


def _state(key: bytes, value: bytes) -> bytes:
    return b'\x80\x02}(' + key + value + b'u.'


def _shared(rng: np.random.Generator) -> bytes:
    """A value that unfolds into 2 to the power of its depth: a pair of itself, again and again."""
    depth, is_list = int(rng.choice([3, 25, 40, 300])), bool(rng.integers(2))
    program = _text('x') + b'q\x00'
    for i in range(depth):
        get, put = b'h' + bytes([i % 250]), b'q' + bytes([(i + 1) % 250])
        program += (b'0](' + get + get + b'e' if is_list else get + b'\x86') + put
    return program


def _program_shared(rng: np.random.Generator) -> bytes:
    value, place = _shared(rng), rng.integers(6)
    zero, one = _number(0), _number(1)
    size, stride = one + b'\x85', one + b'\x85'
    if place == 0:
        return _state(value, zero)
    if place == 1:
        return _state(_text('w'), _tensor(_storage(_FLOATS, value, one), zero, size, stride))
    if place == 2:
        return _state(_text('w'), _tensor(_storage(value, _text('0'), one), zero, size, stride))
    if place == 3:
        storage = _storage(_FLOATS, _text('0'), one)
        return _state(_text('w'), _tensor(storage, zero, value, stride))
    if place == 4:
        return _state(_text('w'), value)
    return b'\x80\x02ccollections\nOrderedDict\n' + value + b'\x85R.'


def _program_nested(rng: np.random.Generator) -> bytes:
    """Tuples, lists or dictionaries one in another, up to a million of them."""
    depth = int(rng.choice([10, 2_000, 100_000, 1_000_000]))
    value = (b'N' + b'\x85' * depth, b']' * depth + b'a' * (depth - 1))[rng.integers(2)]
    if rng.integers(2):
        return _state(_text('w'), value)
    return _state(value, b'N')


def _program_huge(rng: np.random.Generator) -> bytes:
    """Sizes, strides, offsets and counts that are far too large, or negative."""

    def some() -> bytes:
        return _number(int(NUMBERS[rng.integers(len(NUMBERS))]))

    rank = int(rng.choice([0, 1, 3, 64, 10_000]))
    size = b'(' + b''.join(some() for _ in range(rank)) + b't'
    stride = b'(' + b''.join(some() for _ in range(rank)) + b't'
    storage = _storage(_FLOATS, _text('0'), some())
    return _state(_text('w'), _tensor(storage, some(), size, stride))


def _program_amplified(rng: np.random.Generator) -> bytes:
    """A little that asks for much: many tensors of one storage, many containers, long numbers."""
    count = int(rng.choice([100, 10_000, 300_000]))
    choice = rng.integers(5)
    if choice == 0:
        return b'\x80\x02](' + b'ccollections\nOrderedDict\n)R' * count + b'e.'
    if choice == 1:
        return b'\x80\x02](' + b']' * count + b'e.'
    if choice == 2:
        digits = b'9' * count
        return _state(_text('w'), b'L' + digits + b'L\n')
    if choice == 3:
        one = _number(1)
        size = b'(' + _number(262_144) + b't'
        storage = _storage(_FLOATS, _text('0'), _number(262_144))
        tensor = _tensor(storage, _number(0), size, b'(' + one + b't')
        items = b''.join(_text(str(i)) + tensor for i in range(min(count, 10_000)))
        return b'\x80\x02}(' + items + b'u.'
    return b'\x80\x02Nr' + struct.pack('<I', 2**31) + b'j' + struct.pack('<I', 2**31) + b'.'


def _program_calls(rng: np.random.Generator) -> bytes:
    """Calls of what must not be called."""
    names = (
        b'cos\nsystem\n', b'cbuiltins\neval\n', b'cposix\nsystem\n', b'ctorch\nload\n',
        b'cnumpy\nfromfile\n', b'ccollections\nOrderedDict\n', b'c' + b'm' * 5000 + b'\nn\n',
        'cm\u202e\n\x1b[31m\n'.encode(), b'ctorch._utils\n_rebuild_tensor_v2.__globals__\n',
    )  # fmt: skip
    name = names[rng.integers(len(names))]
    call = (b'tR.', b'tR}b.', b't\x81.', b't\x92.')[rng.integers(4)]
    return b'\x80\x04' + name + b'(' + _text('echo fuzz > written; false') + call


def _program_random(rng: np.random.Generator) -> bytes:
    """Instructions in any order; most have nothing to work on."""
    codes = b'(.012FIJKLMNPQRSTUVX]a{}bcdeghijlopqrstu\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x95'
    return b'\x80\x02' + bytes(rng.choice(list(codes), int(rng.integers(1, 200)))) + b'.'


_PROGRAMS = (
    _program_shared, _program_nested, _program_huge, _program_amplified, _program_calls,
    _program_random,
)  # fmt: skip


def use_pickle(folder: Path) -> None:
    path = folder / 'weights.ckpt'
    tensors = read_torch_tensors(path)
    if not all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        raise MalformedError('not arrays')
    import_weights(path)


def make_prune_info(rng: np.random.Generator, folder: Path, _: Path) -> None:
    sample = {
        'ratio': 0.5,
        'threshold': 0.5,
        'new_cfg': [16] * 19,
        'new_expansion_cfg': [1, *[6] * 16],
        'new_lr_channels': [32, 56],
        'new_hr_channels': [16, 16],
        'new_f_channels': [32],
    }
    text = json.dumps(mutate_json(rng, sample))
    if rng.integers(3) == 0:
        text = nested(rng, '[', ']') if rng.integers(2) else nested(rng, '{"a":', '}')
    content = text.encode('utf-8', 'surrogatepass')
    (folder / 'prune_info.json').write_bytes(
        mutate_bytes(rng, content) if rng.integers(3) == 0 else content
    )


def use_prune_info(folder: Path) -> None:
    read_prune_info(folder / 'prune_info.json')


def write_checkpoint(folder: Path) -> None:
    config = create_model_config('mmnet', MMNetConfig.from_multiplier(0.25), input_size=64)
    save_checkpoint(folder / 'checkpoint', random_checkpoint(config))


def make_checkpoint(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    """A file of it is damaged, or gone, or config.json says something else.

    In most of them no hashes tell of it before anything is read: whoever makes a hostile checkpoint
    makes its hashes too.
    """
    place = folder / 'checkpoint'
    shutil.copytree(samples / 'checkpoint', place)
    if rng.integers(8):
        (place / SUMS_FILE).unlink()
    files = sorted(path for path in place.rglob('*') if path.is_file())
    file = files[rng.integers(len(files))]
    choice = rng.integers(4)
    if choice == 0:
        file.unlink()
    elif choice == 1:
        file.write_bytes(mutate_bytes(rng, file.read_bytes()))
    else:
        config = place / 'config.json'
        content = mutate_json(rng, json.loads(config.read_text()))
        text = nested(rng, '[', ']') if rng.integers(8) == 0 else json.dumps(content)
        config.write_bytes(text.encode('utf-8', 'surrogatepass'))


def use_checkpoint(folder: Path) -> None:
    variables = load_checkpoint(folder / 'checkpoint').variables
    if set(variables) - {'params', 'batch_stats'}:
        raise MalformedError(f'variables {sorted(variables)}')
