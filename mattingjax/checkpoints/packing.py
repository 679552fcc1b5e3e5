"""Checkpoints made ready to ship: half the size, and without paths of where they were made."""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePath
from typing import Any

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint
from mattingjax.errors import CheckpointError
from mattingjax.networks.complexity import measure_complexity

_OUTSIDE = re.compile(r'(~[^/]*|\.\.)?/')
_OUTSIDE_IN_TEXT = re.compile(r'(?<![^\s=\'"(])(~[^/\s]*|\.\.)?(/[^/\s\'")]+){2,}')


def pack_checkpoint(
    checkpoint: Checkpoint, input_size: int | None = None, use: str = ''
) -> Checkpoint:
    """The checkpoint with its kernels as float16 and no paths of the machine that made it.

    Loading turns them into float32 again. Normalisation, biases and statistics are few numbers and
    stay float32. The provenance gets what `mattingjax list` tells of weights that ship.

    Args:
      checkpoint: The network and its variables.
      input_size: The input size in pixels at which it will be used; that of its training if None.
      use: A few words on what it is for.

    Returns:
      The checkpoint to save.

    Raises:
      ConfigError: The network cannot be used at that size.
      CheckpointError: A kernel holds a number too large for float16.
    """
    variables = jax.tree_util.tree_map_with_path(_pack_leaf, checkpoint.variables)
    provenance = drop_folders(checkpoint.config.provenance)
    parameters = measure_complexity(checkpoint.config)['parameters']
    provenance['shipped'] = {'parameters': parameters, 'use': use}
    config = dataclasses.replace(checkpoint.config, provenance=provenance)
    if input_size is not None:
        config = dataclasses.replace(config, input_size=input_size)
    return Checkpoint(config, variables)


def _pack_leaf(path: tuple[Any, ...], leaf: Any) -> np.ndarray:
    values = np.asarray(leaf, np.float32)
    if values.ndim < 2:
        return values
    if np.abs(values).max() > np.finfo(np.float16).max:
        name = '/'.join(key.key for key in path)
        raise CheckpointError(f'{name}: {np.abs(values).max():g} is too large for float16')
    return values.astype(np.float16)


def drop_folders(value: Any) -> Any:
    """Shortens paths outside the working directory in a tree of JSON types.

    They keep their last two parts, as 'best' alone would not say of which training. Such paths
    begin with a slash, `~` or `..`; within a longer text they end at the first space.
    """
    if isinstance(value, dict):
        return {drop_folders(name): drop_folders(branch) for name, branch in value.items()}
    if isinstance(value, list | tuple):
        return [drop_folders(branch) for branch in value]
    if isinstance(value, str):
        if _OUTSIDE.match(value):
            return _last_parts(value)
        return _OUTSIDE_IN_TEXT.sub(lambda found: _last_parts(found[0]), value)
    return value


def _last_parts(path: str) -> str:
    parts = [part for part in PurePath(path).parts if part not in ('/', '..', '~')]
    return '/'.join(parts[-2:]) or path
