"""Checkpoints: a network with its variables, in memory and as directories."""

from mattingjax.checkpoints.checkpoint import Checkpoint, hash_checkpoint
from mattingjax.checkpoints.directory import (
    check_target,
    load_checkpoint,
    load_config,
    save_checkpoint,
)

__all__ = [
    'Checkpoint',
    'check_target',
    'hash_checkpoint',
    'load_checkpoint',
    'load_config',
    'save_checkpoint',
]
