"""Checkpoints made ready to ship: half the size, and nothing in them about where they were made."""

from __future__ import annotations

import dataclasses
from pathlib import PurePath
from typing import Any

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint
from mattingjax.errors import CheckpointError


def pack_checkpoint(checkpoint: Checkpoint, input_size: int | None = None) -> Checkpoint:
    """The checkpoint with its kernels as float16 and no paths of the machine that made it.

    Loading makes float32 of them again. Normalisation, biases and statistics are a few numbers and
    stay float32.

    Args:
      checkpoint: A network and its variables.
      input_size: Pixels of a side at which it is used; None: as it was trained.

    Raises:
      ConfigError: The network cannot be used at that size.
      CheckpointError: A kernel holds a number too large for float16.
    """
    variables = jax.tree_util.tree_map_with_path(_pack_leaf, checkpoint.variables)
    provenance = drop_folders(checkpoint.config.provenance)
    config = dataclasses.replace(
        checkpoint.config,
        input_size=input_size or checkpoint.config.input_size,
        provenance=provenance,
    )
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
    """A tree of JSON types, with absolute paths cut down to their last two parts.

    Two, as 'best' alone would not say of which training.
    """
    if isinstance(value, dict):
        return {name: drop_folders(branch) for name, branch in value.items()}
    if isinstance(value, list | tuple):
        return [drop_folders(branch) for branch in value]
    if isinstance(value, str) and PurePath(value).is_absolute():
        return '/'.join(PurePath(value).parts[-2:])
    return value
