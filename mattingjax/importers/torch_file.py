"""Reads the tensors of a PyTorch checkpoint without PyTorch, and without running anything in it.

A PyTorch file is a pickle with raw storages. Loading it with `pickle` would run whatever code it
names, so `torch_pickle` reads only descriptions. Both layouts of `torch.save` are read: the zip
archive (PyTorch 1.6 and later) and the older sequence of pickles.
"""

from __future__ import annotations

import math
import mmap
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mattingjax.errors import WeightsError, one_line
from mattingjax.importers.matching import check_tensor_name
from mattingjax.importers.torch_pickle import MAX_BYTES, read_pickle
from mattingjax.importers.torch_tensors import Storage, Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
# The tensors may take so many times the file's size, and so many bytes; MODNet's take 26 MB.
_MAX_UNFOLDING, _MAX_VALUES = 8, 2**29
_MAX_MESSAGE = 160  # characters of an error message after the file's name

# Keys under which a dictionary may hold the dictionary of tensors.
_WRAPPER_KEYS = ('state_dict', 'model_state_dict', 'model')

Order = Literal['<', '>']
Storages = Mapping[Storage, np.ndarray]


def is_torch_file(path: Path) -> bool:
    """Tells whether a file looks like one of PyTorch of any version, even if it is damaged."""
    with path.open('rb') as file:
        head = file.read(512)
    if head.startswith(b'PK'):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith('data.pkl') for name in archive.namelist())
        except (NotImplementedError, ValueError, zipfile.BadZipFile):
            return True  # damaged; reading it will say so
    # The legacy magic number pickled as protocol 2: PROTO, LONG1, ten bytes little-endian.
    has_magic = head[:1] == b'\x80' and LEGACY_MAGIC.to_bytes(10, 'little') in head[:64]
    return has_magic or _is_tar(head)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b'ustar'


def read_torch_tensors(path: Path | str) -> dict[str, np.ndarray]:
    """Reads every tensor of a PyTorch state dict.

    Args:
      path: A file of `torch.save` with a state dict, or with a dictionary that holds one under
        `state_dict`, `model_state_dict` or `model`.

    Returns:
      Tensor name → array, in the order of the file; names and dtypes as stored.

    Raises:
      WeightsError: The file is damaged, names something that is not a tensor (the message says
        what), holds no state dict, or would take over 8 times its size, or 512 MB, in memory.
    """
    path = Path(path)
    try:
        with path.open('rb') as file:
            head = file.read(512)
        if _is_tar(head):
            raise WeightsError(
                'a tar archive, as PyTorch before 0.1.10 wrote them, is not read; load it with '
                'PyTorch and save it anew'
            )
        return _read_zip(path) if head.startswith(b'PK') else _read_legacy(path)
    except WeightsError as error:
        raise WeightsError(f'{path}: {one_line(str(error), _MAX_MESSAGE)}') from error
    except OSError as error:
        raise WeightsError(f'{path}: cannot be read: {error.strerror or error}') from error
    except Exception as error:  # a hostile or cut-off file can fail in any way
        problem = one_line(f'{type(error).__name__}: {error}', _MAX_MESSAGE)
        raise WeightsError(f'{path}: damaged PyTorch file ({problem})') from error


def _read_zip(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith('/data.pkl')]
        if len(pickles) != 1:
            raise WeightsError(f'expected one data.pkl in the zip archive, found {pickles[:3]}')
        if twice := len(names) - len(set(names)):
            raise WeightsError(f'refused: {twice} names stand twice in the zip archive')
        root = pickles[0].removesuffix('data.pkl')
        # Members of a zip archive may overlap, and may claim to be larger than the archive.
        bytes_left = path.stat().st_size

        def read(member: str) -> bytes:
            nonlocal bytes_left
            info = archive.getinfo(member)
            if info.compress_type != zipfile.ZIP_STORED:
                raise WeightsError(f'refused: {member} is compressed; PyTorch only stores')
            bytes_left -= info.file_size
            if bytes_left < 0:
                raise WeightsError(f'refused: with {member} it holds more bytes than the file has')
            return archive.read(member)

        if archive.getinfo(pickles[0]).file_size > MAX_BYTES:
            raise WeightsError(f'refused: {pickles[0]} has over {MAX_BYTES} bytes')
        content, _ = read_pickle(read(pickles[0]))
        order: Order = '<'
        if root + 'byteorder' in names:
            order = '>' if read(root + 'byteorder') == b'big' else '<'
        tensors = _find_state_dict(content)
        storages = {}
        for storage in _check_memory({tensor.storage: None for tensor in tensors.values()}):
            member, expected = f'{root}data/{storage.key}', storage.numel * storage.dtype.itemsize
            if (found := archive.getinfo(member).file_size) != expected:
                raise WeightsError(f'{member} has {found} bytes, expected {expected}')
            storages[storage] = _array(storage, read(member), order)
        return _read_tensors(tensors, storages, path.stat().st_size)


def _read_legacy(path: Path) -> dict[str, np.ndarray]:
    size = path.stat().st_size
    if not size:
        raise WeightsError('the file is empty')
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        position = 0

        def load() -> Any:
            nonlocal position
            value, length = read_pickle(content[position : position + MAX_BYTES])
            position += length
            return value

        for name, expected in (('magic number', LEGACY_MAGIC), ('protocol', LEGACY_PROTOCOL)):
            if (found := load()) != expected:
                shown = found if isinstance(found, int) else type(found).__name__
                raise WeightsError(f'not a PyTorch file ({name} {shown}, expected {expected})')
        order: Order = '<' if load().get('little_endian', True) else '>'
        described, keys = load(), load()
        tensors = _find_state_dict(described)
        declared = _check_memory(_declared_storages(described, keys))
        storages = _read_storages(content, position, declared, order)
        return _read_tensors(tensors, storages, size)


def _check_memory(storages: Collection[Storage]) -> Collection[Storage]:
    """Returns the storages; raises WeightsError if together they take too much memory."""
    if sum(storage.numel * storage.dtype.itemsize for storage in storages) > _MAX_VALUES:
        raise WeightsError(f'refused: its storages take over {_MAX_VALUES} bytes')
    return storages


def _declared_storages(described: Any, keys: Any) -> list[Storage]:
    """The storages in the order in which they follow in the file."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError('expected a list of the names of its storages')
    declared: dict[str, Storage] = {}
    for storage in _find_storages(described):
        if declared.setdefault(storage.key, storage) != storage:
            raise WeightsError(f'storage {storage.key:.40} is declared twice, differently')
    if sorted(keys) != sorted(declared):
        raise WeightsError(
            f'expected the storages {sorted(declared)[:3]}, found {sorted(keys)[:3]}'
        )
    return [declared[key] for key in keys]


def _read_storages(
    content: mmap.mmap, position: int, declared: Iterable[Storage], order: Order
) -> Storages:
    storages = {}
    for storage in declared:
        name = f'storage {storage.key:.40}'
        word = content[position : position + 8]
        numel = int.from_bytes(word, 'little' if order == '<' else 'big')
        if numel != storage.numel:
            raise WeightsError(f'{name} has {numel} elements, expected {storage.numel}')
        position += 8
        length = numel * storage.dtype.itemsize
        data = content[position : position + length]
        if len(data) != length:
            raise WeightsError(f'{name} has {len(data)} bytes, expected {length}')
        position += length
        storages[storage] = _array(storage, data, order)
    return storages


def _find_storages(described: Any) -> Iterator[Storage]:
    """The storages of all tensors in a tree of dictionaries, lists and tuples."""
    seen, waiting = set(), [described]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor | Storage):
            yield value.storage if isinstance(value, Tensor) else value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)


def _array(storage: Storage, data: bytes, order: Order) -> np.ndarray:
    dtype = storage.dtype
    # ml_dtypes' bfloat16 has no byte-swapped form; every machine that wrote one is little-endian.
    stored = dtype if dtype.kind == 'V' else dtype.newbyteorder(order)
    return np.frombuffer(data, stored).astype(dtype, copy=False)


def _read_tensors(
    tensors: Mapping[str, Tensor], storages: Storages, file_size: int
) -> dict[str, np.ndarray]:
    """Copies the tensors out of the storages, after checking that they lie inside."""
    # Tensors may share a storage, but a small file must not take up a large memory.
    bytes_left = min(_MAX_UNFOLDING * file_size, _MAX_VALUES)
    arrays = {}
    for name, tensor in tensors.items():
        storage = storages[tensor.storage]
        count = math.prod(tensor.size)
        last = tensor.offset + sum(
            (n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True)
        )
        if count and (count > storage.size or last >= storage.size):
            raise WeightsError(
                f'{name:.60}: a tensor of size {tensor.size}, stride {tensor.stride} at '
                f'{tensor.offset} does not fit in its storage of {storage.size} elements'
            )
        bytes_left -= count * storage.itemsize
        if bytes_left < 0:
            raise WeightsError(
                f'refused: its tensors take over {_MAX_UNFOLDING} times its size, or over '
                f'{_MAX_VALUES} bytes'
            )
        if not count:
            arrays[name] = np.zeros(tensor.size, storage.dtype)
            continue
        strides = tuple(step * storage.itemsize for step in tensor.stride)
        view = np.lib.stride_tricks.as_strided(
            storage[tensor.offset :], tensor.size, strides, writeable=False
        )
        arrays[name] = np.array(view)
    return arrays


def _find_state_dict(content: Any) -> dict[str, Tensor]:
    for key in _WRAPPER_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError(f'expected a dictionary of tensors, found {type(content).__name__}')
    tensors = {
        check_tensor_name(name): value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        keys = [f'{key:.40}' for key in content if isinstance(key, str)]
        raise WeightsError(f'holds no tensor; its keys are {keys[:3]}')
    return tensors
