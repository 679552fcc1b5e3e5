"""Files as PyTorch writes them, made without it: pickles of tensors, whole and strange."""

import pickle
import zipfile
from pathlib import Path
from typing import ClassVar

import flax.traverse_util
import numpy as np

from mattingjax import Checkpoint
from mattingjax.importers import modnet_names


class _Global:
    """Pickles as a reference to a name in a module that need not exist here."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name


class _Call:
    """Pickles as a call: `function(*arguments)` when it is loaded."""

    def __init__(self, function: _Global, *arguments: object):
        self.function, self.arguments = function, arguments


class _Storage:
    def __init__(self, key: str, array: np.ndarray, kind: str):
        self.key, self.array, self.kind = key, array, kind


class TorchPickler(pickle._Pickler):
    """Writes the pickle that `torch.save` would, without PyTorch."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            kind = _Global('torch', obj.kind)
            return ('storage', kind, obj.key, 'cpu', obj.array.size)
        return None

    def _save_global(self, obj):
        self.write(pickle.GLOBAL + f'{obj.module}\n{obj.name}\n'.encode())

    def _save_call(self, obj):
        self.save(obj.function)
        self.save(obj.arguments)
        self.write(pickle.REDUCE)

    dispatch[_Global] = _save_global
    dispatch[_Call] = _save_call


def torch_global(module: str, name: str) -> object:
    return _Global(module, name)


def torch_call(module: str, name: str, *arguments: object) -> object:
    return _Call(_Global(module, name), *arguments)


def torch_tensor(key: str, array: np.ndarray, kind: str = 'FloatStorage') -> object:
    """What a tensor is in a state dict; contiguous, its storage named `key`."""
    strides = tuple(step // array.itemsize for step in np.zeros_like(array, order='C').strides)
    storage = _Storage(key, np.ascontiguousarray(array), kind)
    return torch_call(
        'torch._utils', '_rebuild_tensor_v2', storage, 0, array.shape, strides, False, None
    )


def write_torch_file(
    path: Path,
    content: object,
    storages: dict[str, np.ndarray],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """Writes `content` as torch.save's zip archive would hold it."""
    with zipfile.ZipFile(path, 'w', compression) as archive:
        with archive.open('archive/data.pkl', 'w') as file:
            TorchPickler(file, protocol=2).dump(content)
        archive.writestr('archive/byteorder', 'little')
        for key, array in storages.items():
            archive.writestr(f'archive/data/{key}', array.tobytes())


def write_state_dict(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Writes named float32 tensors as a PyTorch state dict."""
    storages = {str(i): tensor for i, tensor in enumerate(tensors.values())}
    content = {
        name: torch_tensor(key, tensor)
        for key, (name, tensor) in zip(storages, tensors.items(), strict=True)
    }
    write_torch_file(path, content, storages)


def as_state_dict(checkpoint: Checkpoint, prefix: str = 'module.') -> dict[str, np.ndarray]:
    """Our variables as the published PyTorch checkpoint would hold them."""
    tensors = {}
    for path, value in flax.traverse_util.flatten_dict(checkpoint.variables, sep='/').items():
        source = modnet_names.find_torch_source(checkpoint.config.architecture, path)
        value = value[0, 0] if source.pixel else value
        if source.axes:
            value = value.transpose(np.argsort(source.axes))
        tensors[prefix + source.name] = np.ascontiguousarray(value)
    return tensors
