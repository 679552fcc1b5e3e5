"""The folder of a training: its lock, and its settings and data, compared before it is resumed."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from absl import logging
from ml_collections import ConfigDict

from mattingjax.config import dataset_config, train_config
from mattingjax.config.schema import read_json
from mattingjax.data.datasets import Dataset, create_manifest
from mattingjax.errors import ConfigError, MattingError, list_some
from mattingjax.process import locks
from mattingjax.process.files import SCRATCH_FILE, write_file
from mattingjax.process.replacing import remove_abandoned
from mattingjax.training.settings import fill_in

CONFIG_FILE, DATA_FILE, STATES, LOCK_FILE = 'config.json', 'data.json', 'states', '.lock'
LAST, BEST = 'last', 'best'  # checkpoints
_LATEST_FILE = 30.0  # seconds until a file that another host has written must be seen
# Settings that may change when a training is resumed.
_FREE = (
    'steps', 'epochs', 'save_every_steps', 'keep', 'log_every_steps', 'tensorboard',
    'data.workers', 'data.manifest',
)  # fmt: skip

Manifest = dict[str, Any]


def check_settings(workdir: Path, config: ConfigDict) -> None:
    """Raises MattingError if the folder holds a training with other settings, or anything else."""
    if workdir.exists() and not workdir.is_dir():
        raise MattingError(f'{workdir}: expected a folder, found a file')
    file = workdir / CONFIG_FILE
    if not file.is_file():
        if workdir.is_dir() and any(map(_is_foreign, workdir.iterdir())):
            raise MattingError(f'{workdir}: expected a new folder, or one of a training')
        return
    earlier, now = _read_settings(file), _flatten(json.loads(config.to_json()))
    if config.optimizer.schedule != 'constant' and earlier['steps'] != now['steps']:
        logging.warning(
            '%s: steps was %s, and the learning rate goes on as if it had been %s from the start',
            workdir, earlier['steps'], now['steps'],
        )  # fmt: skip
    for name in (*now, *(name for name in earlier if name not in now)):
        if name not in _FREE and earlier.get(name) != now.get(name):
            was, is_now = (
                repr(values[name]) if name in values else 'not set' for values in (earlier, now)
            )
            raise MattingError(
                f'{workdir}: a training with other settings lies there: {name} was {was}, '
                f'is {is_now}; choose another folder'
            )


def _is_foreign(path: Path) -> bool:
    """Says whether a file is none that a training leaves if it is killed at its very start."""
    return path.name != LOCK_FILE and not path.name.startswith(SCRATCH_FILE)


def _read_settings(file: Path) -> dict[str, Any]:
    """Reads settings by path; those that did not exist when the file was written get defaults."""
    try:
        settings = read_json(file)
        defaults = train_config(settings['model']['network'])
        for name in settings['more_datasets']:
            defaults.more_datasets[name] = dataset_config()
        fill_in(defaults, settings['model']['network'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MattingError(
            f'{file.parent}: expected a new folder, or one of a training; its {file.name} holds no '
            'settings of one'
        ) from error
    return _flatten(json.loads(defaults.to_json())) | _flatten(settings)


def _flatten(settings: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        path = f'{prefix}{name}'
        flat |= _flatten(value, f'{path}.') if isinstance(value, dict) else {path: value}
    return flat


def _read_manifests(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except ConfigError as error:
        raise MattingError(f'{file}: {error}') from error
    if not isinstance(content, dict):
        raise MattingError(f'{file}: expected what a training wrote, found {content!r:.80}')
    return content


def check_data(
    workdir: Path, datasets: Mapping[str, Dataset], checkpoints: Mapping[str, str]
) -> dict[str, Manifest]:
    """Hashes the data of a training and compares it with the data that the training began with.

    Args:
      workdir: The folder of the training.
      datasets: The datasets by name.
      checkpoints: The SHA-256 of each checkpoint that the training loads, by its setting.

    Returns:
      A manifest for each dataset, as `create_manifest` makes it, and for each checkpoint.

    Raises:
      MattingError: A file cannot be read, or a training that would be resumed began with other
        data.
    """
    manifests = {name: create_manifest(dataset) for name, dataset in datasets.items()}
    manifests |= {name: {'sha256': {'': digest}} for name, digest in checkpoints.items()}
    file = workdir / DATA_FILE
    has_states = (workdir / STATES).is_dir() and any((workdir / STATES).iterdir())
    if file.is_file() and has_states:
        earlier = _read_manifests(file)
        for name in earlier.keys() & manifests.keys():
            if change := _describe_change(earlier[name], manifests[name]):
                raise MattingError(
                    f'{workdir}: the data of this training has changed: {name}: {change}; '
                    'put it back, or choose another folder'
                )
    return manifests


def _describe_change(earlier: Manifest, now: Manifest) -> str:
    """Describes how two manifests differ, apart from the root folder; empty if they do not."""
    if {**earlier, 'root': ''} == {**now, 'root': ''}:
        return ''
    before, after = earlier.get('sha256', {}), now.get('sha256', {})
    kinds = {
        'missing': before.keys() - after.keys(),
        'new': after.keys() - before.keys(),
        'changed': {name for name in before.keys() & after.keys() if before[name] != after[name]},
    }
    if '' in after:
        return 'it is another checkpoint now'
    parts = [
        f'{len(names)} files {kind} ({list_some(sorted(names))})' for kind, names in kinds.items()
        if names
    ]  # fmt: skip
    return ', '.join(parts) or 'the records or their order differ'


def locked(workdir: Path) -> AbstractContextManager[None]:
    """Locks the folder against a second training, where there are locks.

    Raises:
      MattingError: A training is running there.
      OutputError: The folder cannot be written to.
    """
    return locks.locked(workdir / LOCK_FILE, workdir, 'a training is running there')


def find_latest_state(workdir: Path) -> int | None:
    """Finds the step of the latest state on the disk; None if there is none."""
    steps = (path.name for path in (workdir / STATES).glob('*'))
    return max((int(step) for step in steps if step.isdecimal()), default=None)


def remove_leftovers(workdir: Path) -> None:
    """Removes what a killed training has written in part; the caller must hold the lock."""
    for name in (LAST, BEST):
        remove_abandoned(workdir / name)
    for scratch in (workdir / STATES).glob('*.orbax-checkpoint-tmp*'):
        shutil.rmtree(scratch, ignore_errors=True)
    for scratch in workdir.glob(f'{SCRATCH_FILE}*'):
        scratch.unlink(missing_ok=True)


def claim(workdir: Path, config: ConfigDict, manifests: Mapping[str, Manifest] | None) -> None:
    """Writes config.json and, if there are manifests, data.json into the folder."""
    _write(workdir / CONFIG_FILE, json.loads(config.to_json()))
    if manifests is not None:
        _write(workdir / DATA_FILE, manifests)


def describe_data(batches: Mapping[str, int], manifests: Mapping[str, Manifest] | None) -> str:
    """Describes the data of a training, to compare it with other processes' of the training.

    Args:
      batches: What `get_state` of the batches returned.
      manifests: What `check_data` returned, or None.
    """
    # Each host may have its own place for the same files.
    files = {name: {**manifest, 'root': ''} for name, manifest in (manifests or {}).items()}
    return json.dumps([dict(batches), files], sort_keys=True)


def check_shared(workdir: Path, config: ConfigDict) -> None:
    """Raises MattingError unless the folder is that in which `claim` wrote these settings.

    Files of another host may appear late on a network's file system.
    """
    file, end = workdir / CONFIG_FILE, time.monotonic() + _LATEST_FILE
    while not file.is_file() and time.monotonic() < end:
        time.sleep(0.1)
    if not file.is_file():
        raise MattingError(
            f'{workdir}: expected one folder for all processes of the training; the first has '
            f'written {CONFIG_FILE} there, which this one, on {platform.node()}, does not see'
        )
    check_settings(workdir, config)


def _write(file: Path, content: Any) -> None:
    write_file(file, (json.dumps(content, indent=1) + '\n').encode())
