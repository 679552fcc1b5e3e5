"""Reads the tensors of a PyTorch checkpoint without PyTorch, and without running anything in it.

A PyTorch file is a pickle plus raw storages, so loading one with `pickle` would run whatever code
it names. Here the unpickler knows a handful of names, all of which only describe tensors; any
other name is refused before it is looked up. Both layouts that `torch.save` has written are read:
the zip archive (PyTorch 1.6 and later) and the older sequence of pickles.
"""

from __future__ import annotations

import collections
import functools
import io
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np

from mattingjax.errors import WeightsError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
_MAX_MEMO, _MAX_UNFOLDING = 2**20, 8

_STORAGE_DTYPES: dict[str, np.dtype] = {
    'DoubleStorage': np.dtype(np.float64),
    'FloatStorage': np.dtype(np.float32),
    'HalfStorage': np.dtype(np.float16),
    'BFloat16Storage': np.dtype(ml_dtypes.bfloat16),
    'LongStorage': np.dtype(np.int64),
    'IntStorage': np.dtype(np.int32),
    'ShortStorage': np.dtype(np.int16),
    'CharStorage': np.dtype(np.int8),
    'ByteStorage': np.dtype(np.uint8),
    'BoolStorage': np.dtype(np.bool_),
}
# A dictionary in a checkpoint that holds the tensors under one of these keys is a wrapper.
_WRAPPER_KEYS = ('state_dict', 'model_state_dict', 'model')


def is_torch_file(path: Path) -> bool:
    """Whether the file looks like one of `torch.save`, whole or damaged, zip or legacy."""
    with path.open('rb') as file:
        head = file.read(64)
    if head.startswith(b'PK'):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith('data.pkl') for name in archive.namelist())
        except (NotImplementedError, ValueError, zipfile.BadZipFile):
            return True  # damaged; reading it will say so
    # The legacy magic number pickled as protocol 2: PROTO, LONG1, ten bytes little-endian.
    return head[:1] == b'\x80' and LEGACY_MAGIC.to_bytes(10, 'little') in head


def read_torch_tensors(path: Path | str) -> dict[str, np.ndarray]:
    """Reads every tensor of a PyTorch state dict.

    Args:
      path: A file written by `torch.save`: a state dict, or a dictionary that holds one under
        `state_dict`, `model_state_dict` or `model`.

    Returns:
      Tensor name → array, in the order of the file; names and dtypes as stored.

    Raises:
      WeightsError: The file is damaged, names something that is not a tensor (the message says
        what), or holds no state dict.
    """
    path = Path(path)
    try:
        with path.open('rb') as file:
            zipped = file.read(2) == b'PK'
        content = _read_zip(path) if zipped else _read_legacy(path)
        return _find_state_dict(content, path)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f'{path}: cannot be read: {error.strerror or error}') from error
    except Exception as error:  # a hostile or cut-off pickle can fail in any way
        raise WeightsError(
            f'{path}: damaged PyTorch file ({type(error).__name__}: {error})'
        ) from error


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler that can build tensors from described storages, and nothing else."""

    def __init__(self, file: Any, path: Path, load_storage: Callable[..., np.ndarray]):
        start = file.tell()
        for opcode, argument, _ in pickletools.genops(file):
            # The unpickler allocates as many slots as the largest index says.
            if 'PUT' in opcode.name and isinstance(argument, int) and argument > _MAX_MEMO:
                raise WeightsError(f'{path}: refused: the pickle numbers {argument} objects')
        file.seek(start)
        super().__init__(file, encoding='utf-8')
        self._path = path
        self._load_storage = load_storage
        # Tensors may share a storage, but a small file must not unfold into a large memory.
        self._bytes_left = _MAX_UNFOLDING * path.stat().st_size

    def find_class(self, module: str, name: str) -> Any:
        # New closures on every call, so that a pickle cannot leave attributes on shared objects.
        if (module, name) == ('collections', 'OrderedDict'):
            return collections.OrderedDict
        if module == 'torch._utils':
            if name == '_rebuild_tensor_v2':
                return lambda storage, offset, size, stride, *_: self._view(
                    storage, offset, size, stride
                )
            if name == '_rebuild_parameter':
                return lambda tensor, *_: tensor
        if module == 'torch' and name == 'Size':
            return lambda size: tuple(size)
        if module == 'torch' and name in _STORAGE_DTYPES:
            return name
        raise WeightsError(
            f'{self._path}: refused: the pickle asks for {module}.{name}, which is not a tensor; '
            'nothing was executed'
        )

    def persistent_load(self, pid: Any) -> np.ndarray:
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == 'storage'):
            raise WeightsError(f'{self._path}: refused: unknown persistent object {pid!r:.80}')
        storage_type, key, numel = pid[1], pid[2], pid[4]
        if len(pid) > 5 and pid[5] is not None:
            raise WeightsError(f'{self._path}: storage views of PyTorch before 0.4 are not read')
        return self._load_storage(_STORAGE_DTYPES[storage_type], str(key), int(numel))

    def _view(self, storage: np.ndarray, offset: int, size: Any, stride: Any) -> np.ndarray:
        """The tensor of shape `size` inside a flat storage, copied; bounds are checked first."""
        size, stride = tuple(map(int, size)), tuple(map(int, stride))
        count = int(np.prod(size, dtype=object)) if size else 1
        described = f'tensor of size {size}, stride {stride} at {offset}'
        if len(size) != len(stride) or offset < 0 or any(n < 0 for n in size + stride):
            raise WeightsError(f'{self._path}: impossible {described}')
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if count and (count > storage.size or last >= storage.size):
            raise WeightsError(
                f'{self._path}: {described} does not fit in its storage of {storage.size} elements'
            )
        self._bytes_left -= count * storage.itemsize
        if self._bytes_left < 0:
            raise WeightsError(
                f'{self._path}: refused: its tensors take over {_MAX_UNFOLDING} times its size'
            )
        if not count:
            return np.zeros(size, storage.dtype)
        strides = tuple(step * storage.itemsize for step in stride)
        view = np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)
        return np.array(view)


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith('/data.pkl')]
        if len(pickles) != 1:
            raise WeightsError(f'{path}: expected one data.pkl in the zip archive, found {pickles}')
        root = pickles[0].removesuffix('data.pkl')

        def read(member: str) -> bytes:
            if archive.getinfo(member).compress_type != zipfile.ZIP_STORED:
                raise WeightsError(f'{path}: refused: {member} is compressed; PyTorch only stores')
            return archive.read(member)

        order: Literal['<', '>'] = '<'
        if root + 'byteorder' in archive.namelist():
            order = '>' if read(root + 'byteorder') == b'big' else '<'

        @functools.cache
        def load_storage(dtype: np.dtype, key: str, numel: int) -> np.ndarray:
            member = f'{root}data/{key}'
            found = archive.getinfo(member).file_size
            if found != numel * dtype.itemsize:
                raise WeightsError(
                    f'{path}: {member} has {found} bytes, expected {numel * dtype.itemsize}'
                )
            return np.frombuffer(read(member), _ordered(dtype, order)).astype(dtype)

        return _TensorUnpickler(io.BytesIO(read(pickles[0])), path, load_storage).load()


def _read_legacy(path: Path) -> Any:
    storages: dict[str, np.ndarray] = {}

    def declare_storage(dtype: np.dtype, key: str, numel: int) -> np.ndarray:
        if numel * dtype.itemsize > path.stat().st_size:
            raise WeightsError(f'{path}: a storage of {numel} elements is larger than the file')
        storage = storages.setdefault(key, np.zeros(numel, dtype))
        if (storage.dtype, storage.size) != (dtype, numel):
            raise WeightsError(f'{path}: storage {key} is declared twice, with different types')
        return storage

    with path.open('rb') as file:

        def load() -> Any:
            return _TensorUnpickler(file, path, declare_storage).load()

        # The tensors are described before their storages are stored: read it all twice.
        if (magic := load()) != LEGACY_MAGIC:
            raise WeightsError(f'{path}: not a PyTorch file (magic number {magic!r:.40})')
        if (protocol := load()) != LEGACY_PROTOCOL:
            raise WeightsError(f'{path}: unknown PyTorch file protocol {protocol!r:.40}')
        order: Literal['<', '>'] = '<' if load().get('little_endian', True) else '>'
        start = file.tell()
        load()
        keys = load()
        if sorted(map(str, keys)) != sorted(storages):
            raise WeightsError(f'{path}: expected the storages {sorted(storages)}, found {keys}')
        for key in keys:
            numel = int.from_bytes(file.read(8), 'little' if order == '<' else 'big')
            storage = storages[str(key)]
            if numel != storage.size:
                raise WeightsError(
                    f'{path}: storage {key} has {numel} elements, expected {storage.size}'
                )
            data = file.read(storage.nbytes)
            if len(data) != storage.nbytes:
                raise WeightsError(
                    f'{path}: storage {key} has {len(data)} bytes, expected {storage.nbytes}'
                )
            storage[...] = np.frombuffer(data, _ordered(storage.dtype, order))
        file.seek(start)
        return load()


def _ordered(dtype: np.dtype, order: Literal['<', '>']) -> np.dtype:
    # ml_dtypes' bfloat16 has no byte-swapped form; every machine that wrote one is little-endian.
    return dtype if dtype.kind == 'V' else dtype.newbyteorder(order)


def _find_state_dict(content: Any, path: Path) -> dict[str, np.ndarray]:
    for key in _WRAPPER_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError(
            f'{path}: expected a dictionary of tensors, found {type(content).__name__}'
        )
    tensors = {str(name): value for name, value in content.items() if isinstance(value, np.ndarray)}
    if not tensors:
        keys = [key for key in content if isinstance(key, str)]
        raise WeightsError(f'{path}: holds no tensor; its keys are {keys[:5]}')
    return tensors
