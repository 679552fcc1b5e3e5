"""Surgery: channels are removed from a network, at the same indices in every variable of a group.

The network that is left computes exactly what the whole one computes if nothing reads the removed
channels (`silence`). `tests/pruning/test_surgery.py` checks that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig, Variables, variable_shapes
from mattingjax.networks.channel_groups import ChannelGroup, TensorSlice
from mattingjax.pruning.groups import channel_groups
from mattingjax.pruning.report import PruneReport, create_report

# The indices of the channels that stay, ascending, by name of the group; absent groups keep all.
KeepIndices = Mapping[str, np.ndarray]


def prune(
    config: ModelConfig, variables: Variables, keep_indices: KeepIndices
) -> tuple[ModelConfig, Variables, PruneReport]:
    """Removes channels from a network.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`; they are not changed.
      keep_indices: The indices of the channels that stay, by name of the group; absent groups keep
        all. Of n channels before IBNorm, n // 2 are from the first half.

    Returns:
      The narrower network, its variables as NumPy arrays, and the report.

    Raises:
      MattingError: A group is unknown or would vanish, or its indices are impossible.
    """
    keep = check_keep_indices(config, keep_indices)
    widths = {name: len(indices) for name, indices in keep.items()}
    new_config = with_widths(config, widths)
    return new_config, slice_tree(config, variables, keep), create_report(config, widths)


def with_widths(config: ModelConfig, widths: Mapping[str, int]) -> ModelConfig:
    """Gives a network other widths.

    Args:
      config: The network.
      widths: The new widths by name of the group; absent groups keep theirs.

    Raises:
      ConfigError: A width is impossible; the message names the field.
    """
    content = config.architecture.to_dict()
    for group in channel_groups(config):
        for field in group.fields:
            *parents, last = (int(part) if part.isdigit() else part for part in field.split('.'))
            holder: Any = content
            for part in parents:
                holder = holder[part]
            holder[last] = int(widths.get(group.name, group.width))
    # Made in one go, since in between the two ends of a shortcut would differ in width.
    return dataclasses.replace(config, architecture=type(config.architecture).from_dict(content))


def check_keep_indices(config: ModelConfig, keep_indices: KeepIndices) -> dict[str, np.ndarray]:
    """Sorts the indices of every group; raises MattingError if some are impossible."""
    groups = {group.name: group for group in channel_groups(config)}
    if unknown := sorted(set(keep_indices) - set(groups)):
        raise MattingError(f'{unknown[0]}: no channel group of {config.network}')
    return {
        name: _check_indices(group, keep_indices.get(name, np.arange(group.width)))
        for name, group in groups.items()
    }


def _check_indices(group: ChannelGroup, indices: np.ndarray) -> np.ndarray:
    kept = np.unique(np.asarray(indices, np.int64))
    if len(kept) != np.size(indices) or (len(kept) and not 0 <= kept[0] <= kept[-1] < group.width):
        raise MattingError(
            f'{group.name}: expected different channels from 0 to {group.width - 1}, '
            f'got {list(indices)!r:.80}'
        )
    if len(kept) < group.minimum:
        raise MattingError(
            f'{group.name}: the group would vanish; expected at least {group.minimum} of its '
            f'{group.width} channels to stay, got {len(kept)}'
        )
    if group.is_halved and np.count_nonzero(kept < group.width // 2) != len(kept) // 2:
        raise MattingError(
            f'{group.name}: expected {len(kept) // 2} of the {len(kept)} channels from the first '
            f'{group.width // 2}, which IBNorm batch-normalises, got '
            f'{np.count_nonzero(kept < group.width // 2)}'
        )
    return kept


def slice_tree(config: ModelConfig, tree: Any, keep_indices: KeepIndices) -> Any:
    """Cuts variables and what is shaped like them: the state of an optimizer, moving averages.

    Args:
      config: The network before pruning.
      tree: A pytree. A leaf belongs to a variable if its path ends in the variable's path, with or
        without the collection ('params/…/kernel' or '…/kernel'); other leaves stay.
      keep_indices: The indices of the channels that stay, as `prune` takes them.

    Returns:
      The tree, in which leaves that belong to a variable are NumPy arrays.

    Raises:
      MattingError: A leaf has another shape than its variable, or the indices are impossible.
    """
    keep = check_keep_indices(config, keep_indices)
    shapes = flatten_dict(variable_shapes(config), sep='/')
    slices: dict[str, list[tuple[TensorSlice, np.ndarray]]] = {path: [] for path in shapes}
    for group in channel_groups(config):
        for part in group.slices:
            slices[part.path].append((part, keep[group.name]))
    # An optimizer knows its parameters by their path within 'params'.
    names = {path: path for path in shapes} | {path.partition('/')[2]: path for path in shapes}

    def cut(key_path: tuple[Any, ...], leaf: Any) -> Any:
        keys = [str(key.key) for key in key_path if isinstance(key, jax.tree_util.DictKey)]
        ends = ('/'.join(keys[i:]) for i in range(len(keys)))
        path = next((names[end] for end in ends if end in names), None)
        if path is None:
            return leaf
        if np.shape(leaf) != shapes[path].shape:
            raise MattingError(
                f'{jax.tree_util.keystr(key_path)}: expected shape {shapes[path].shape} as '
                f'{path} has, got {np.shape(leaf)}'
            )
        return _cut(np.asarray(leaf), slices[path])

    return jax.tree_util.tree_map_with_path(cut, tree)


def _cut(value: np.ndarray, slices: list[tuple[TensorSlice, np.ndarray]]) -> np.ndarray:
    """Removes from a variable the channels that go of all groups that lie in it."""
    stays = [np.ones(size, bool) for size in value.shape]
    for part, kept in slices:
        part_stays = np.isin(np.arange(part.count), kept)
        stays[part.axis][part.offset : part.offset + part.count] = part_stays
    for axis, mask in enumerate(stays):
        value = np.compress(mask, value, axis)
    return value


def silence(config: ModelConfig, variables: Variables, keep_indices: KeepIndices) -> Variables:
    """Sets every weight that reads a removed channel to zero, in a network that is not cut.

    Its outputs are those of the pruned network, which defines what removing channels means.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`; they are not changed.
      keep_indices: The indices of the channels that stay, as `prune` takes them.

    Returns:
      Variables of the same shapes, as NumPy arrays.
    """
    keep = check_keep_indices(config, keep_indices)
    values = {path: np.array(value) for path, value in flatten_dict(variables, sep='/').items()}
    for group in channel_groups(config):
        removed = np.setdiff1d(np.arange(group.width), keep[group.name])
        for part in group.having('input'):
            values[part.path][:, :, part.offset + removed] = 0
    return unflatten_dict(values, sep='/')
