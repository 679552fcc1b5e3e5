"""Files that are made to hang, crash or fill the machine: each gets a short line, soon.

They are read in a process of their own, which a crash would end.
"""

import json
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from mattingjax.importers.torch_file import LEGACY_MAGIC, read_torch_tensors
from tests.conftest import ROOT
from tests.torch_files import torch_tensor, write_torch_file

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)

# Instructions, as bytes.
MANY = 400_000
REBUILD = b'ctorch._utils\n_rebuild_tensor_v2\n'
ORDERED = b'ccollections\nOrderedDict\n'


def text(value: str) -> bytes:
    return b'X' + struct.pack('<I', len(value)) + value.encode()


def number(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b'\x8b' + struct.pack('<I', size) + value.to_bytes(size, 'little', signed=True)


def storage(kind=b'ctorch\nFloatStorage\n', key=b'U\x010', numel=b'K\x06') -> bytes:
    return b'(' + text('storage') + kind + key + text('cpu') + numel + b'tQ'


def tensor(place=None, offset=b'K\x00', size=b'(K\x02K\x03t', stride=b'(K\x03K\x01t') -> bytes:
    place = storage() if place is None else place
    return REBUILD + b'(' + place + offset + size + stride + b'\x89' + ORDERED + b')RtR'


def state(content: bytes) -> bytes:
    """A state dict of one tensor, `content`."""
    return b'}' + text('a') + content + b's'


def doubled(depth: int) -> bytes:
    """A tuple that holds one tuple twice, and so on: without DUP, by the memo."""
    return b')q\x00' + b'h\x00h\x00\x86q\x00' * depth


SHARED_LIST = b'](' + b'K\x01' * 200_000 + b'eq\x01'
PAIRS = b'](' + (b'K\x01K\x02\x86') * 100_000 + b'eq\x01'

PICKLES = {
    'deep tuples as a key': b'}' + doubled(40) + tensor() + b's',
    'deep tuples as a storage key': state(tensor(storage(key=doubled(40)))),
    'deep tuples as a kind': state(tensor(storage(kind=doubled(25)))),
    'deep tuples as a number of elements': state(tensor(storage(numel=doubled(30)))),
    'deep tuples as a persistent object': doubled(40) + b'Q',
    'deep tuples as a size': state(tensor(size=doubled(40))),
    'deep tuples in the memo': doubled(100_000) + b'0' + state(tensor()),
    'deep tuples as arguments': REBUILD + doubled(40) + b'R',
    'deep tuples as a function': doubled(40) + b')R',
    'deep tuples as the top': doubled(100_000),
    'a tuple in a tuple, very deep': state(b')' + b'\x85' * MANY),
    'a list in a list, very deep': state(b']' * MANY + b'a' * (MANY - 1)),
    'a dictionary in a dictionary': b'}' + (text('a') + b'}') * 150_000 + b's' * 150_000,
    'a list in itself': b']q\x00' + b'h\x00a' * 100_000,
    'a dictionary in itself': b'}q\x00' + (text('a') + b'h\x00s') * 100_000,
    'copies of a list': b']' + SHARED_LIST + (ORDERED + b'h\x01\x85Ra') * 1_000,
    'copies of pairs': PAIRS + (ORDERED + b'h\x01\x85R') * 1_000,
    'copies of arguments': b'(' + b'K\x01' * 200_000 + b'tq\x01' + (REBUILD + b'h\x01R') * 1_000,
    'a long size': state(tensor(size=b'(' + b'K\x01' * MANY + b't', stride=b')')),
    'sizes of many bits': state(tensor(size=number(10**300_000) + b'\x85', stride=b'K\x01\x85')),
    'a number of many bits': state(number(1 << 8_000_000)),
    'keys of many bits': b'}(' + b''.join(
        number(i * (2**61 - 1)) + b'N' for i in range(1, 100_000)) + b'u',
    'sizes over the memory': state(tensor(size=number(2**62) + b'\x85', stride=b'K\x00\x85')),
    'a storage over the memory': state(tensor(storage(numel=number(2**62)))),
    'a negative storage': state(tensor(storage(numel=number(-1)))),
    'a text over the memory': b'}X\xff\xff\xff\x7fabc',
    'a text over every memory': b'}\x8d' + b'\xff' * 7 + b'\x7fabc',
    'a number over the memory': b'}\x8b\xff\xff\xff\x7fabc',
    'a frame over the memory': b'\x95' + b'\xff' * 7 + b'\x7f}',
    'an index over the memory': b'}r\xff\xff\xff\xff0',
    'an index that nobody wrote': b'}' + b'j\xff\xff\xff\xff',
    'marks': b'(' * MANY,
    'instructions': b'N' * 5_000_000,
    'a text as a key of a storage': state(tensor(storage(key=text('x' * 100_000)))),
    'a text as the only key': b'}' + text('y' * 100_000) + b'Ns',
    'the name of a function': b'c' + b'os' * 100_000 + b'\nsystem\n)R',
    'attributes of a list': b']}b',
    'another object': b'ccollections\nOrderedDict\n)\x81',
    'an extension': b'\x82\x01',
    'decimal digits': b'L' + b'9' * 100_000 + b'L\n',
    'no end': b'}' * 10,
    'nothing on the stack': b'R',
    'no mark': b'}t',
    'kinds by name': state(tensor(storage(kind=text('FloatStorage')))),
}  # fmt: skip


def write_zip(path, content: bytes, numbers: bytes = ARRAY.tobytes()) -> None:
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02' + content + b'.')
        archive.writestr('archive/data/0', numbers)


def write_legacy(path, content: bytes) -> None:
    parts = [pickle.dumps(part, 2) for part in (LEGACY_MAGIC, 1001, {'little_endian': True})]
    end = pickle.dumps(['0'], 2) + struct.pack('<q', 6) + ARRAY.tobytes()
    path.write_bytes(b''.join(parts) + b'\x80\x02' + content + b'.' + end)


def write_overlapping(path) -> None:
    """A zip archive whose members are all the same bytes."""
    many = 300
    tensors = b''.join(
        text(f't{i}') + tensor(storage(key=text(str(i)), numel=number(2**20))) for i in range(many)
    )
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02}(' + tensors + b'u.')
        archive.writestr('archive/data/0', bytes(4 * 2**20))
        first = archive.getinfo('archive/data/0')
        for i in range(1, many):
            info = zipfile.ZipInfo(f'archive/data/{i}')
            for name in ('header_offset', 'CRC', 'compress_size', 'file_size', 'create_version'):
                setattr(info, name, getattr(first, name))
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive._didModify = True


def write_declared(path) -> None:
    """A zip archive that says of a member of 24 bytes that it has 2³¹."""
    write_zip(path, state(tensor(storage(numel=number(2**29)))))
    content = path.read_bytes()
    place = content.rindex(b'PK\x01\x02')
    changed = bytearray(content)
    changed[place + 20 : place + 28] = struct.pack('<II', 2**31, 2**31)
    path.write_bytes(changed)


def write_twice(path) -> None:
    write_zip(path, state(tensor()))
    with pytest.warns(UserWarning, match='Duplicate name'), zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('archive/data/0', bytes(24))


def write_bomb(path) -> None:
    """300 MB of instructions, compressed to little."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', b'N' * 300_000_000)


def write_large_pickle(path) -> None:
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'N' * 20_000_000)


def write_shared(path) -> None:
    """Tensors of one storage, each of them all of it."""
    array = np.zeros(100_000, np.float32)
    write_torch_file(path, {str(i): torch_tensor('0', array) for i in range(3_000)}, {'0': array})


FILES = {
    'overlapping': write_overlapping,
    'declared': write_declared,
    'twice': write_twice,
    'bomb': write_bomb,
    'large pickle': write_large_pickle,
    'shared': write_shared,
    'a tar archive': lambda path: path.write_bytes(bytes(257) + b'ustar' + bytes(2_000)),
    'a zip archive of nothing': lambda path: path.write_bytes(b'PK\x05\x06' + bytes(18)),
    'magic and no more': lambda path: path.write_bytes(pickle.dumps(LEGACY_MAGIC, 2)),
}

READ = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
from mattingjax.errors import WeightsError
from mattingjax.importers.torch_file import read_torch_tensors
answers = {}
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        answer = f'read {list(read_torch_tensors(path))}'
    except WeightsError as error:
        answer = str(error).removeprefix(f'{path}: ')
    print(json.dumps([path, answer, time.process_time() - start]), flush=True)
try:
    # What getrusage tells counts the memory of whoever started this process too.
    with open('/proc/self/status') as status:
        (peak,) = (int(line.split()[1]) for line in status if line.startswith('VmHWM:'))
except OSError:
    peak = 0
print(json.dumps(['', peak, 0]))
"""


@pytest.mark.slow
def test_short_answers_in_little_time_and_memory(tmp_path):
    paths = {}
    for write, layout in ((write_zip, 'zip'), (write_legacy, 'legacy')):
        for name, content in PICKLES.items():
            path = tmp_path / f'{len(paths)}.ckpt'
            write(path, content)
            paths[str(path)] = f'{name} ({layout})'
    for name, write in FILES.items():
        path = tmp_path / f'{len(paths)}.ckpt'
        write(path)
        paths[str(path)] = name
    process = subprocess.run(
        [sys.executable, '-c', READ, *paths], capture_output=True, text=True, timeout=280, cwd=ROOT,
        check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    last = paths.get(lines[-1][0]) if lines else None
    assert process.returncode == 0, f'after {last!r}: {process.stderr[-500:]}'
    *answers, (_, kilobytes, _) = lines
    assert len(answers) == len(paths)
    for path, answer, seconds in answers:
        print(f'{paths[path]:50} {seconds:5.1f} s  {answer}')
        assert len(answer) <= 200, (paths[path], answer)
        assert not answer.startswith('read'), (paths[path], answer)
        assert seconds < 10, (paths[path], answer)
    assert kilobytes < 2**20


def test_sharing_that_torch_writes_is_read(tmp_path):
    """Objects met twice, lists, numbers and texts beside the tensors, Python 2's OrderedDict."""
    pairs = b'](' + b'](' + text('a') + tensor() + b'e' + b'](' + text('b') + tensor() + b'e' + b'e'
    for name, content in {
        'pairs': ORDERED + pairs + b'\x85R',
        'protocol 4': b'\x95' + struct.pack('<Q', 9) + b'}\x94(\x8c\x01a\x94' + tensor() + b'\x94u',
        'texts of Python 2': b'}U\x01a' + tensor() + b's',
        'beside others': b'}(' + text('a') + tensor() + text('epoch') + b'K\x03' + text('betas')
        + b'G' + struct.pack('>d', 0.9) + text('lists') + b'](K\x01Ne' + b'u',
    }.items():  # fmt: skip
        path = tmp_path / 'weights.ckpt'
        write_zip(path, content)
        read = read_torch_tensors(path)
        np.testing.assert_array_equal(read['a'], ARRAY, err_msg=name)
