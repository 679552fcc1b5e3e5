"""The settings of a training: each is checked by itself, and those that follow from others are set.

What several settings must fulfil together, such as a warm-up below the number of steps, is checked
where they are used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mattingjax.checkpoints import load_config
from mattingjax.config import HELD_OUT, dataset_config, prune_config, train_config
from mattingjax.config.files import suggest
from mattingjax.data.datasets import LAYOUTS
from mattingjax.data.packed import is_packed
from mattingjax.errors import MattingError
from mattingjax.networks import find_network
from mattingjax.training.rules import PATH, find_rule

_DEFAULT_NETWORK = 'mmnet'
# Settings that may be unset, which is None, since they follow from others.
_FOLLOWING = (
    'model.network', 'validation.kind', 'validation.split', 'data.transform', 'data.keep_aspect',
    'loss.l2',
)  # fmt: skip


def complete_settings(config: ConfigDict) -> ConfigDict:
    """Checks the settings one by one, and sets those that follow from others.

    Args:
      config: The settings that `config.train_config` made, some of them changed.

    Returns:
      A copy of the settings in which none is unset.

    Raises:
      MattingError: A setting is unknown, missing or impossible, or the checkpoint cannot be read or
        holds another network than `model.network`.
    """
    if not isinstance(config, ConfigDict):
        raise MattingError(
            f'config: expected the settings of config.train_config(), got {type(config).__name__}'
        )
    config = config.copy_and_resolve_references()
    if set(config) == set(prune_config()):
        raise MattingError('config: expected settings of a training, got those of mattingjax prune')
    known = train_config()
    more = config.get('more_datasets')
    for name in more if isinstance(more, ConfigDict) else ():
        known.more_datasets[name] = dataset_config()
    _check_section(known, config, 'config')
    fill_in(config, _find_network(config))
    return config


def check_path(name: str, value: Any) -> None:
    """Raises MattingError unless a file system can hold a file of this path."""
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if value == '':
        raise MattingError(f'{name}: expected a path, got nothing')
    if not PATH.allows(value):
        raise MattingError(f'{name}: expected {PATH.expected}, got {_show(value)}')


def _show(value: Any) -> str:
    try:
        return f'{value!r:.80}'
    except ValueError:  # Python refuses to print an integer of thousands of digits
        return 'a larger number'


def _check_section(known: ConfigDict, found: Any, path: str) -> None:
    """Raises MattingError unless the settings have the known names and possible values."""
    if not isinstance(found, ConfigDict):
        raise MattingError(f'{path}: expected settings by name, got {_show(found)}')
    for name in found:
        if name not in known:
            raise MattingError(f'{path}: no setting {name}; {suggest(name, known)}')
    for name, default in known.items():
        if name not in found:
            raise MattingError(f'{path}.{name}: missing')
        value, setting = found[name], f'{path}.{name}'.removeprefix('config.')
        if isinstance(default, ConfigDict):
            _check_section(default, value, f'{path}.{name}')
        elif not (rule := find_rule(setting)).allows(value) and not (
            value is None and setting in _FOLLOWING
        ):
            raise MattingError(f'{path}.{name}: expected {rule.expected}, got {_show(value)}')


def _find_network(config: ConfigDict) -> str:
    """Finds the name of the network that is trained: the checkpoint's, if there is one."""
    model = config.model
    if not model.checkpoint:
        return model.network or _DEFAULT_NETWORK
    try:
        network = load_config(model.checkpoint).network
    except MattingError as error:
        raise MattingError(f'config.model.checkpoint: {error}') from error
    if model.network not in (None, network):
        raise MattingError(
            f'config.model.network: expected {network}, which the checkpoint {model.checkpoint} '
            f'is, got {model.network}: take settings for {network}'
        )
    return network


def fill_in(config: ConfigDict, network: str) -> None:
    """Sets, in place, what is unset to what suits the network of this name and the dataset."""
    record = find_network(network)
    following = {
        'model.network': network,
        'data.transform': record.transform,
        'data.keep_aspect': record.preprocessing.resize == 'short_side',
        'loss.l2': record.l2,
    }
    for path, value in following.items():
        section, _, name = path.partition('.')
        if config[section][name] is None:
            config[section][name] = value
    validation, dataset = config.validation, config.dataset
    if validation.kind is None:
        validation.kind = _find_kind(validation, dataset)
    if validation.split is None:
        validation.split = 'val' if validation.kind == 'ppm100' else 'test'


def _find_kind(validation: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    """Finds the kind of a validation that names none."""
    if not validation['root']:
        return dataset['kind'] if dataset['kind'] in LAYOUTS else HELD_OUT
    root = Path(validation['root'])
    for kind, folders in LAYOUTS.items():
        split = validation['split'] or ('val' if kind == 'ppm100' else 'test')
        if all((root / split / folder).is_dir() for folder in folders):
            return kind
    if root.is_file():
        return 'csv'
    if is_packed(root):
        return 'packed'
    return 'mmnet' if dataset['kind'] in ('csv', 'packed', 'synthetic') else dataset['kind']
