"""Checkpoints: a network with its variables, in memory and as directories."""

from mattingjax.checkpoints.checkpoint import Checkpoint, hash_checkpoint
from mattingjax.checkpoints.directory import (
    CONFIG_FILE,
    DEFAULT_WEIGHTS,
    VARIABLES_FOLDER,
    check_target,
    find_checkpoint,
    list_weights,
    load_checkpoint,
    load_config,
    save_checkpoint,
)

__all__ = [
    'CONFIG_FILE',
    'DEFAULT_WEIGHTS',
    'VARIABLES_FOLDER',
    'Checkpoint',
    'check_target',
    'find_checkpoint',
    'hash_checkpoint',
    'list_weights',
    'load_checkpoint',
    'load_config',
    'save_checkpoint',
]
