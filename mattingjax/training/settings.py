"""The settings of a training: each checked by itself, and those filled in that follow from others.

What only holds for several together (a warm-up below the number of steps, say) is checked where
they meet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mattingjax.checkpoints import load_config
from mattingjax.config import HELD_OUT, dataset_config, prune_config, train_config
from mattingjax.config.files import suggest
from mattingjax.data.datasets import LAYOUTS
from mattingjax.errors import MattingError
from mattingjax.networks import find_network
from mattingjax.training.rules import DATASET, PATH, TRAINING, Rule

# What may be unset, with None for a value: it follows from other settings.
_FOLLOWING = (
    'model.network', 'validation.kind', 'validation.split', 'data.transform', 'data.keep_aspect',
    'loss.l2',
)  # fmt: skip


def complete_settings(config: ConfigDict) -> ConfigDict:
    """Checks the settings one by one, and fills in those that follow from others.

    Args:
      config: Of `config.train_config`, changed.

    Returns:
      A copy in which nothing is unset: settings of the network that is trained, which a checkpoint
      decides, and of the validation.

    Raises:
      MattingError: A setting is unknown, missing or impossible, or the checkpoint cannot be read or
        is of another network than is asked for.
    """
    if not isinstance(config, ConfigDict):
        raise MattingError(
            f'config: expected the settings of config.train_config(), got {type(config).__name__}'
        )
    config = config.copy_and_resolve_references()
    _check_names(config)
    for path, rule in _rules(config):
        check_value(path, _get(config, path), rule, may_be_unset=path in _FOLLOWING)
    fill_in(config, _find_network(config))
    return config


def check_path(name: str, value: Any) -> None:
    """Raises MattingError unless file systems can hold a file of this path."""
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    if value == '':
        raise MattingError(f'{name}: expected a path, got nothing')
    if not PATH.allows(value):
        raise MattingError(f'{name}: expected {PATH.expected}, got {_show(value)}')


def check_value(path: str, value: Any, rule: Rule, *, may_be_unset: bool = False) -> None:
    """Raises MattingError, naming the setting `path`, unless the value is as the rule says."""
    if not rule.allows(value) and not (may_be_unset and value is None):
        raise MattingError(f'config.{path}: expected {rule.expected}, got {_show(value)}')


def _show(value: Any) -> str:
    try:
        return f'{value!r:.80}'
    except ValueError:  # of an integer of thousands of digits
        return 'a larger number'


def _check_names(config: ConfigDict) -> None:
    """Raises MattingError unless the settings have the names of `train_config`."""
    if set(config) == set(prune_config()):
        raise MattingError('config: expected settings of a training, got those of scripts/prune.py')
    known = train_config()
    _compare(known, config, 'config')
    for name in known:
        if isinstance(known[name], ConfigDict) and name != 'more_datasets':
            _compare(known[name], config[name], f'config.{name}')
    for name, section in config.more_datasets.items():
        _compare(dataset_config(), section, f'config.more_datasets.{name}')


def _compare(known: ConfigDict, found: Any, where: str) -> None:
    if not isinstance(found, ConfigDict):
        raise MattingError(f'{where}: expected settings by name, got {_show(found)}')
    for name in found:
        if name not in known:
            raise MattingError(f'{where}: no setting {name}; {suggest(name, known)}')
    for name, value in known.items():
        if name not in found:
            raise MattingError(f'{where}.{name}: missing')
        if isinstance(value, ConfigDict) and not isinstance(found[name], ConfigDict):
            raise MattingError(
                f'{where}.{name}: expected settings by name, got {_show(found[name])}'
            )


def _rules(config: ConfigDict) -> Iterator[tuple[str, Rule]]:
    """Every setting by its path."""
    yield from TRAINING.items()
    for dataset in config.more_datasets:
        yield from ((f'more_datasets.{dataset}.{name}', rule) for name, rule in DATASET.items())


def _get(config: ConfigDict, path: str) -> Any:
    section, _, name = path.rpartition('.')
    for part in section.split('.') if section else ():
        config = config[part]
    return config[name]


def _find_network(config: ConfigDict) -> str:
    """The network that is trained: of the checkpoint, if there is one."""
    model = config.model
    if not model.checkpoint:
        return model.network or 'mmnet'
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
    """Sets, in place, what is unset: as the network `network` and the dataset want it."""
    record = find_network(network)
    following = {
        'model.network': network,
        'data.transform': record.transform,
        'data.keep_aspect': record.preprocessing.resize == 'short_side',
        'loss.l2': record.l2,
    }
    for path, value in following.items():
        if _get(config, path) is None:
            config.update_from_flattened_dict({path: value})
    validation, dataset = config.validation, config.dataset
    if validation.kind is None:
        validation.kind = _find_kind(validation, dataset)
    if validation.split is None:
        validation.split = 'val' if validation.kind == 'ppm100' else 'test'


def _find_kind(validation: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    """The kind of a validation that names none."""
    if not validation['root']:
        return dataset['kind'] if dataset['kind'] in LAYOUTS else HELD_OUT
    root = Path(validation['root'])
    for kind, folders in LAYOUTS.items():
        split = validation['split'] or ('val' if kind == 'ppm100' else 'test')
        if all((root / split / folder).is_dir() for folder in folders):
            return kind
    if root.is_file():
        return 'csv'
    return 'mmnet' if dataset['kind'] in ('csv', 'synthetic') else dataset['kind']
