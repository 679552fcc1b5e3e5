"""The variables of a checkpoint directory, written and read by Orbax."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from mattingjax.checkpoints.orbax_errors import explain_failure, quiet_failures
from mattingjax.errors import CheckpointError
from mattingjax.networks import ModelConfig, Variables, find_bad_value, variable_shapes
from mattingjax.process.files import plainly_named

_MAX_UNFOLDING = 100  # files may take so many times their size in memory
_FREE_BYTES = 2**26  # small files may take so much whatever their size
_MAX_TREE = 2**24  # bytes of Orbax's list of the variables; MODNet's has 100 kB


def save_variables(folder: Path, variables: Variables) -> None:
    """Writes variables to a folder that does not exist yet; raises whatever Orbax raises."""
    with (
        quiet_failures(),
        plainly_named(folder.parent) as parent,
        _create_checkpointer() as checkpointer,
    ):
        checkpointer.save(parent / folder.name, variables)
    # Orbax's mark of success names the folder, which is renamed later; existing is mark enough.
    (folder / 'commit_success.txt').unlink(missing_ok=True)


def _create_checkpointer() -> Any:
    """A checkpointer of this process's own: on several hosts, Orbax would wait for the others."""
    import orbax.checkpoint as ocp

    own = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f'process {own}'
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def load_variables(folder: Path, config: ModelConfig) -> Variables:
    """Reads the variables of a network.

    Args:
      folder: The folder that `save_variables` wrote.
      config: The network that they belong to.

    Returns:
      The tree of `variable_shapes(config)`, as NumPy float32 arrays.

    Raises:
      CheckpointError: They are missing, damaged, or another network's.
    """
    import orbax.checkpoint as ocp
    import tensorstore

    expected = flax.traverse_util.flatten_dict(variable_shapes(config), sep='/')
    if not folder.is_dir():
        raise CheckpointError(f'{folder}: missing')
    try:
        with plainly_named(folder) as plain, _create_checkpointer() as checkpointer:
            _check_tree_file(plain)
            # A damaged store fails here once. Orbax would ask for all variables at a time, and
            # those that fail after the first would complain of a closed event loop.
            store = {'driver': 'ocdbt', 'base': {'driver': 'file', 'path': f'{plain}/'}}
            has_store = json.loads((plain / '_METADATA').read_bytes()).get('use_ocdbt', True)
            if has_store and not tensorstore.KvStore.open(store).result().list().result():
                raise FileNotFoundError('no variables in its manifest.ocdbt')
            # The checkpointer's own `metadata` logs that it failed, and keeps the reason to itself.
            declared = ocp.PyTreeCheckpointHandler().metadata(plain)
            _check_declared(folder, getattr(declared, 'tree', declared), expected)
            restored = checkpointer.restore(plain)
    except CheckpointError:
        raise
    except Exception as error:  # Orbax and TensorStore raise their own types
        raise CheckpointError(f'{folder}: damaged variables ({explain_failure(error)})') from error
    found = flax.traverse_util.flatten_dict(restored, sep='/')
    if bad := find_bad_value(found):
        raise CheckpointError(f'{folder}: {bad[0]}: {bad[1]}')
    values = {name: np.asarray(found[name], np.float32) for name in expected}
    return flax.traverse_util.unflatten_dict(values, sep='/')


def _check_tree_file(folder: Path) -> None:
    """Raises CheckpointError if Orbax's list of the variables is too long for any network."""
    size = (folder / '_METADATA').stat().st_size
    if size > _MAX_TREE:
        raise CheckpointError(f'{folder}: its list of variables has {size} bytes')


def _check_declared(folder: Path, declared: Any, expected: Mapping[str, Any]) -> None:
    """Raises CheckpointError unless the declared variables are those of the network.

    Only names, shapes and types have been read so far: variables that do not fit, or would take far
    more memory than their files have bytes, are not read at all.

    Args:
      folder: The folder of the variables.
      declared: Tree of Orbax's metadata, one leaf for each variable.
      expected: Path of each variable → its `jax.ShapeDtypeStruct`.
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
