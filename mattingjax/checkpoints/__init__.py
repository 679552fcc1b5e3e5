"""Checkpoint directories: a network's configuration and its variables, always together.

    CKPT/config.json   network, widths, input size, preprocessing, provenance
    CKPT/variables/    the variables, written by Orbax

Nothing else is needed to load one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from mattingjax.config.schema import read_json
from mattingjax.errors import CheckpointError, MattingError, OutputError, unwrapped
from mattingjax.files import check_new_folder, new_folder, plainly_named
from mattingjax.networks import (
    ModelConfig,
    Variables,
    apply_compiled,
    check_size,
    find_bad_value,
    variable_shapes,
)

CONFIG_FILE, VARIABLES_FOLDER = 'config.json', 'variables'
_KIND = ('a checkpoint', CONFIG_FILE)
DEFAULT_WEIGHTS = 'modnet_p'  # of those that ship: the best mattes
_SHIPPED = Path(__file__).parents[1] / 'weights'
_MAX_UNFOLDING = 100  # what files may take in memory, times their size
_FREE_BYTES = 2**26  # what they always may
_MAX_TREE = 2**24  # bytes of Orbax's list of the variables; MODNet's has 100 kB


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """A network and its variables.

    Attributes:
      config: The network: everything needed to build and feed it.
      variables: `params` and `batch_stats`, as NumPy or JAX arrays.
      origin: What it was read from; empty where it was made in memory.
    """

    config: ModelConfig
    variables: Variables
    origin: str = ''

    def __repr__(self) -> str:
        parameters = sum(map(np.size, jax.tree.leaves(self.variables.get('params'))))
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(self.variables)) / 1e6
        origin = f', from {self.origin}' if self.origin else ''
        return (
            f'Checkpoint({self.config.network}, input size {self.config.input_size}, '
            f'{parameters:,} parameters, {size:.2f} MB of variables{origin})'
        )

    def apply(self, images: jax.Array | np.ndarray) -> dict[str, jax.Array]:
        """Runs the network in inference mode, every head included; compiled once per shape.

        Args:
          images: [N, H, W, 3] RGB, float32 in [0, 255]; H and W are multiples of 32 (MODNet) or
            16 (MMNet). Fractions whose values are all in [0, 1], or negative ones, are taken as
            they are, with a warning.

        Returns:
          `alpha` [N, H, W, 1] in [0, 1]. MODNet also `semantic` [N, H/16, W/16, 1] and `detail`
          [N, H, W, 1], in [0, 1]; MMNet also `logits` [N, H, W, 2] and `aux_logits`
          [N, H/16, W/16, 2].

        Raises:
          CheckpointError: `images` has another type or shape.
          ConfigError: H or W is no multiple of the network's stride.
        """
        if not isinstance(images, np.ndarray | jax.Array) or images.dtype.kind not in 'fiu':
            found = getattr(images, 'dtype', type(images).__name__)
            raise CheckpointError(f'images: expected an array of numbers in [0, 255], got {found}')
        if images.ndim != 4 or images.shape[-1] != 3:
            raise CheckpointError(f'images: expected shape [N, H, W, 3], got {images.shape}')
        check_size(self.config, images.shape[1], images.shape[2], where='images')
        _warn_of_range(images)
        return apply_compiled(self.config, self.variables, images, auxiliary=True)


def _warn_of_range(images: jax.Array | np.ndarray) -> None:
    """Warns of photos that were scaled already; while JAX traces, nothing is known of values."""
    if isinstance(images, jax.core.Tracer) or images.dtype.kind != 'f' or not images.size:
        return
    least, most = float(images.min()), float(images.max())
    if least < 0 or 0 < most <= 1:
        warnings.warn(
            f'images: expected values in [0, 255], found {least:g} to {most:g}; photos in [0, 1] '
            'must be multiplied by 255, as the network scales them itself',
            stacklevel=3,
        )


def list_weights() -> list[str]:
    """Names of the weights that ship with the package, usable wherever a checkpoint is."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f'*/{CONFIG_FILE}'))


def save_checkpoint(
    path: Path | str,
    checkpoint: Checkpoint,
    *,
    overwrite: bool = False,
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Writes a checkpoint directory, or nothing at all.

    Args:
      path: The directory to make.
      checkpoint: What to write.
      overwrite: Whether a checkpoint that lies there already is replaced.
      files: Name → content of what else goes into the directory.

    Raises:
      CheckpointError: Something lies at `path` already, or it cannot be written.
    """
    import orbax.checkpoint as ocp

    try:
        with new_folder(Path(path), *_KIND, overwrite=overwrite) as scratch:
            variables = jax.tree.map(np.asarray, checkpoint.variables)
            with plainly_named(scratch) as folder, ocp.PyTreeCheckpointer() as checkpointer:
                checkpointer.save(folder / VARIABLES_FOLDER, variables)
            # Orbax's sign of success names the folder, which is renamed; that it is there says as
            # much.
            (scratch / VARIABLES_FOLDER / 'commit_success.txt').unlink(missing_ok=True)
            text = json.dumps(checkpoint.config.to_dict(), indent=1) + '\n'
            (scratch / CONFIG_FILE).write_text(text, encoding='utf-8')
            for name, content in (files or {}).items():
                (scratch / name).write_bytes(content)
            try:
                _read_back(scratch, checkpoint.config, variables)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(str(scratch), str(path))) from error
    except CheckpointError:
        raise
    except OutputError as error:
        raise CheckpointError(str(error)) from error
    except Exception as error:  # Orbax and TensorStore raise their own types
        raise CheckpointError(f'{path}: cannot be written ({_describe(error)})') from error


def _read_back(folder: Path, config: ModelConfig, variables: Variables) -> None:
    """Raises CheckpointError unless what was written can be read, and is what was to be written."""
    read = _load_variables(folder / VARIABLES_FOLDER, config)
    same = jax.tree.map(
        lambda one, other: np.array_equal(np.asarray(one, np.float32), other), variables, read
    )
    if load_config(folder) != config or not all(jax.tree.leaves(same)):
        raise CheckpointError(f'{folder}: what was written is read back with other values')


def hash_checkpoint(checkpoint: Checkpoint) -> str:
    """SHA-256 of an architecture and its variables, however they are stored."""
    digest = hashlib.sha256(
        json.dumps(checkpoint.config.architecture.to_dict(), sort_keys=True).encode()
    )
    for path, value in sorted(
        flax.traverse_util.flatten_dict(checkpoint.variables, sep='/').items()
    ):
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(value, '<f4').tobytes())
    return digest.hexdigest()


def check_target(path: Path | str, *, overwrite: bool = False) -> None:
    """Raises CheckpointError unless `save_checkpoint` may write there; nothing is written."""
    try:
        check_new_folder(Path(path), *_KIND, overwrite=overwrite)
    except OutputError as error:
        raise CheckpointError(str(error)) from error


def _describe(error: Exception) -> str:
    # TensorStore ends with everything that it was asked for.
    text = str(error).split(' [tensorstore_spec=')[0]
    return f'{type(error).__name__}: {unwrapped(text)}'


def load_checkpoint(path_or_name: Path | str) -> Checkpoint:
    """Loads a checkpoint directory, or weights that ship with the package.

    Args:
      path_or_name: The directory, or a name from `list_weights()`.

    Returns:
      The checkpoint, its variables as NumPy float32 arrays.

    Raises:
      CheckpointError: There is none of that name, or its files are damaged or contradict each
        other; a variable is named with expected and found shapes.
    """
    config = load_config(path_or_name)
    folder = find_checkpoint(path_or_name) / VARIABLES_FOLDER
    return Checkpoint(config, _load_variables(folder, config), str(path_or_name))


def load_config(path_or_name: Path | str) -> ModelConfig:
    """The configuration alone; arguments and errors as `load_checkpoint`'s."""
    file = find_checkpoint(path_or_name) / CONFIG_FILE
    try:
        return ModelConfig.from_dict(read_json(file))
    except MattingError as error:
        raise CheckpointError(f'{file}: {error}') from error


def find_checkpoint(path_or_name: Path | str) -> Path:
    """The directory that a path or shipped name means; raises CheckpointError if there is none."""
    path = Path(path_or_name)
    # Unlike methods of Path, these functions take any name, however long.
    if os.path.isfile(path / CONFIG_FILE):
        return path
    if str(path_or_name) in list_weights():
        return _SHIPPED / path_or_name
    names = ', '.join(list_weights()) or 'none yet'
    if os.path.isdir(path):
        problem = f'the folder holds no {CONFIG_FILE}'
    elif os.path.isfile(path):
        problem = 'a file; foreign weights become a checkpoint with scripts/import_weights.py'
    else:
        problem = 'no such folder'
    raise CheckpointError(
        f'{path_or_name}: not a checkpoint ({problem}); weights that ship, by name: {names}'
    )


def _load_variables(folder: Path, config: ModelConfig) -> Variables:
    import orbax.checkpoint as ocp
    import tensorstore

    expected = flax.traverse_util.flatten_dict(variable_shapes(config), sep='/')
    if not folder.is_dir():
        raise CheckpointError(f'{folder}: missing')
    try:
        handler = ocp.PyTreeCheckpointHandler()
        with plainly_named(folder) as plain, ocp.Checkpointer(handler) as checkpointer:
            _check_tree_file(plain)
            # Of a damaged store this fails once; Orbax asks for all variables at a time, and those
            # that fail after the first complain of a closed event loop.
            store = {'driver': 'ocdbt', 'base': {'driver': 'file', 'path': f'{plain}/'}}
            has_store = json.loads((plain / '_METADATA').read_bytes()).get('use_ocdbt', True)
            if has_store and not tensorstore.KvStore.open(store).result().list().result():
                raise FileNotFoundError('no variables in its manifest.ocdbt')
            # The checkpointer's own `metadata` logs that it failed, and keeps the reason to itself.
            declared = handler.metadata(plain)
            _check_declared(folder, getattr(declared, 'tree', declared), expected)
            restored = checkpointer.restore(plain)
    except CheckpointError:
        raise
    except Exception as error:  # Orbax and TensorStore raise their own types
        raise CheckpointError(f'{folder}: damaged variables ({_describe(error)})') from error
    found = flax.traverse_util.flatten_dict(restored, sep='/')
    if bad := find_bad_value(found):
        raise CheckpointError(f'{folder}: {bad[0]}: {bad[1]}')
    values = {name: np.asarray(found[name], np.float32) for name in expected}
    return flax.traverse_util.unflatten_dict(values, sep='/')


def _check_tree_file(folder: Path) -> None:
    """Raises CheckpointError where Orbax's list of the variables is too long to be one."""
    size = (folder / '_METADATA').stat().st_size
    if size > _MAX_TREE:
        raise CheckpointError(f'{folder}: its list of variables has {size} bytes')


def _check_declared(folder: Path, declared: Any, expected: Mapping[str, Any]) -> None:
    """Raises CheckpointError unless the variables that lie there are those of the network.

    Nothing has been read of them yet but their names, shapes and types: what does not fit, or
    would take far more memory than its files have bytes, is not read at all.

    Args:
      folder: Where they lie.
      declared: Tree of what Orbax knows of each.
      expected: Path → `jax.ShapeDtypeStruct`.
    """
    if not isinstance(declared, dict):
        raise CheckpointError(
            f'{folder}: damaged variables (expected named ones, got {type(declared).__name__})'
        )
    found = flax.traverse_util.flatten_dict(declared, sep='/')
    for name, leaf in expected.items():
        if name not in found:
            raise CheckpointError(f'{folder}: {name}: missing (expected shape {leaf.shape})')
        shape = getattr(found[name], 'shape', type(found[name]).__name__)
        if shape != leaf.shape:
            raise CheckpointError(f'{folder}: {name}: expected shape {leaf.shape}, found {shape}')
        dtype = np.dtype(found[name].dtype)
        if dtype.kind not in 'fiu' and dtype != jax.numpy.bfloat16:
            raise CheckpointError(
                f'{folder}: {name}: expected real numbers, found values of type {dtype}'
            )
        chunk = getattr(found[name].storage, 'chunk_shape', None) or ()
        if any(part > max(size, 1) for part, size in zip(chunk, shape, strict=True)):
            raise CheckpointError(f'{folder}: {name}: stored in parts of {chunk}, larger than it')
    if unknown := sorted(set(found) - set(expected)):
        raise CheckpointError(f'{folder}: {unknown[0]}: unknown variable')
    needed = sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in found.values())
    stored = sum(file.stat().st_size for file in folder.rglob('*') if file.is_file())
    if needed > max(_FREE_BYTES, _MAX_UNFOLDING * stored):
        raise CheckpointError(
            f'{folder}: its variables take {needed} bytes, but its files have only {stored}'
        )
