"""Checkpoint directories: a network's configuration and its variables, always together.

    CKPT/config.json   network, widths, input size, preprocessing, provenance
    CKPT/variables/    the variables, written by Orbax
    CKPT/SHA256SUMS    the hashes of both, with which they are compared before they are read

Nothing else is needed to load one. One without hashes, as earlier versions wrote it, is taken as it
is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from mattingjax.checkpoints.checkpoint import Checkpoint
from mattingjax.checkpoints.orbax_errors import explain_failure
from mattingjax.checkpoints.variables import load_variables, save_variables
from mattingjax.config.schema import read_json
from mattingjax.errors import CheckpointError, MattingError, OutputError
from mattingjax.networks import ModelConfig, Variables
from mattingjax.process.checksums import SUMS_FILE, find_damage, write_checksums
from mattingjax.process.files import check_new_folder, new_folder
from mattingjax.weights import CONFIG_FILE, NOT_SUMMED, VARIABLES_FOLDER, find_checkpoint

_KIND = ('a checkpoint', CONFIG_FILE)


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
      checkpoint: The network and its variables.
      overwrite: Whether a checkpoint that lies there already is replaced.
      files: Name → content of each further file in the directory.

    Raises:
      CheckpointError: Something lies at `path` already, or it cannot be written.
    """
    try:
        with new_folder(Path(path), *_KIND, overwrite=overwrite) as scratch:
            variables = jax.tree.map(np.asarray, checkpoint.variables)
            save_variables(scratch / VARIABLES_FOLDER, variables)
            text = json.dumps(checkpoint.config.to_dict(), indent=1) + '\n'
            (scratch / CONFIG_FILE).write_text(text, encoding='utf-8')
            for name, content in (files or {}).items():
                (scratch / name).write_bytes(content)
            write_checksums(scratch, leave_out=NOT_SUMMED)
            try:
                _read_back(scratch, checkpoint.config, variables)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(str(scratch), str(path))) from error
    except CheckpointError:
        raise
    except OutputError as error:
        raise CheckpointError(str(error)) from error
    except Exception as error:  # Orbax and TensorStore raise their own types
        raise CheckpointError(f'{path}: cannot be written ({explain_failure(error)})') from error


def _read_back(folder: Path, config: ModelConfig, variables: Variables) -> None:
    """Raises CheckpointError unless a checkpoint that was just written reads back the same."""
    read = load_variables(folder / VARIABLES_FOLDER, config)
    same = jax.tree.map(
        lambda one, other: np.array_equal(np.asarray(one, np.float32), other), variables, read
    )
    if load_config(folder) != config or not all(jax.tree.leaves(same)):
        raise CheckpointError(f'{folder}: what was written is read back with other values')


def check_target(path: Path | str, *, overwrite: bool = False) -> None:
    """Raises CheckpointError unless `save_checkpoint` may write there; nothing is written.

    Args:
      path: The directory to make.
      overwrite: Whether a checkpoint that lies there already is replaced.
    """
    try:
        check_new_folder(Path(path), *_KIND, overwrite=overwrite)
    except OutputError as error:
        raise CheckpointError(str(error)) from error


def load_checkpoint(path_or_name: Path | str) -> Checkpoint:
    """Loads a checkpoint directory, or weights that ship with the package.

    Args:
      path_or_name: The directory, or a name from `list_weights()`.

    Returns:
      The checkpoint, its variables as NumPy float32 arrays.

    Raises:
      CheckpointError: There is none of that name, or its files are damaged, changed since they were
        written, or contradict each other; a variable is named with expected and found shapes.
    """
    folder = find_checkpoint(path_or_name)
    _check_damage(folder)
    config = _read_config(folder)
    variables = load_variables(folder / VARIABLES_FOLDER, config)
    return Checkpoint(config, variables, str(path_or_name))


def load_config(path_or_name: Path | str) -> ModelConfig:
    """Loads the configuration alone of what `load_checkpoint` would load.

    Args:
      path_or_name: The directory, or a name from `list_weights()`.

    Raises:
      CheckpointError: There is none of that name, or its configuration is damaged or changed.
    """
    folder = find_checkpoint(path_or_name)
    _check_damage(folder, CONFIG_FILE)
    return _read_config(folder)


def _check_damage(folder: Path, only: str | None = None) -> None:
    """Raises CheckpointError if a file is not what it was when it was written."""
    if damage := find_damage(folder, only):
        raise CheckpointError(
            f'{folder}: changed since it was written: {damage}; if that is meant, remove its '
            f'{SUMS_FILE}'
        )


def _read_config(folder: Path) -> ModelConfig:
    file = folder / CONFIG_FILE
    try:
        return ModelConfig.from_dict(read_json(file))
    except MattingError as error:
        raise CheckpointError(f'{file}: {error}') from error
