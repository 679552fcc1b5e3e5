"""Widening: channels are added to a trained network, which computes what it did before.

The opposite of surgery: `prune` of the new network to the old channels gives the old one back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.checkpoints import (
    Checkpoint,
    check_target,
    hash_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from mattingjax.config.texts import whole_number
from mattingjax.errors import MattingError
from mattingjax.images import encode_png
from mattingjax.networks import ModelConfig, Variables, init_variables
from mattingjax.networks.channel_groups import ChannelGroup
from mattingjax.pruning.groups import channel_groups
from mattingjax.pruning.report import create_report, draw_widths, format_report
from mattingjax.pruning.surgery import KeepIndices, with_widths


def parse_widths(entries: Iterable[str]) -> dict[str, int]:
    """Parses 'GROUP=WIDTH' strings.

    Raises:
      MattingError: A string is of another form, or a group comes twice.
    """
    widths: dict[str, int] = {}
    for entry in entries:
        name, _, text = entry.partition('=')
        width = whole_number(text)
        if width is None or name in widths:
            raise MattingError(
                f'widths: expected GROUP=WIDTH, each group once and its width a whole number, got '
                f'{entry!r:.80}'
            )
        widths[name] = width
    return widths


def widen(
    config: ModelConfig, variables: Variables, widths: Mapping[str, int], *, seed: int = 0
) -> tuple[ModelConfig, Variables, KeepIndices]:
    """Adds channels to a network without changing what it computes.

    What computes the new channels is drawn at random; what reads them is zero wherever an old
    channel or an output is computed. A training can use them from the first step on, since the
    gradient of those zeros is not zero.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`; they are not changed.
      widths: The new widths by name of the group, none below the old one; absent groups keep
        theirs.
      seed: The random seed of the new channels.

    Returns:
      The wider network, its variables as NumPy float32 arrays, and the indices of the old channels
      in it, as `prune` takes them. The new channels of a group come last; before IBNorm, last in
      each of its halves.

    Raises:
      MattingError: A group is unknown, or would become narrower.

    References:
      Chen et al., Net2Net (https://arxiv.org/abs/1511.05641), whose new channels are copies of old
      ones.
    """
    groups = {group.name: group for group in channel_groups(config)}
    for name, width in widths.items():
        if name not in groups:
            raise MattingError(f'widths: {name}: no channel group of {config.network}')
        if width < groups[name].width:
            raise MattingError(
                f'widths: {name}: expected at least its {groups[name].width} channels, got {width}'
            )
    wide_config = with_widths(config, widths)
    wide_groups = channel_groups(wide_config)
    keep = {group.name: _old_channels(group, groups[group.name].width) for group in wide_groups}

    values = flatten_dict(init_variables(wide_config, seed), sep='/')
    is_old = {path: [np.ones(size, bool) for size in np.shape(v)] for path, v in values.items()}
    for group in wide_groups:
        for part in group.slices:
            span = slice(part.offset, part.offset + part.count)
            is_old[part.path][part.axis][span] = np.isin(np.arange(part.count), keep[group.name])
    for group in wide_groups:
        for part in group.having('input'):
            reads_new, computes_old = np.ix_(~is_old[part.path][2], is_old[part.path][3])
            values[part.path][..., reads_new, computes_old] = 0
    for path, old in flatten_dict(variables, sep='/').items():
        values[path][np.ix_(*is_old[path])] = old
    return wide_config, unflatten_dict(values, sep='/'), keep


def _old_channels(group: ChannelGroup, width: int) -> np.ndarray:
    """Where the channels of a group of so many come to lie in the wider group."""
    if not group.is_halved:
        return np.arange(width)
    first = width // 2
    return np.r_[:first, group.width // 2 : group.width // 2 + width - first]


def widen_and_save(
    checkpoint: str,
    output: str,
    widths: Mapping[str, int],
    *,
    seed: int = 0,
    overwrite: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Widens a checkpoint: tells the widths and costs, and writes them and the wider network.

    Args:
      checkpoint: A checkpoint directory, or the name of weights that ship.
      output: The checkpoint directory to make; it also gets widths.png.
      widths: The new widths by name of the group, as `widen` takes them.
      seed: The random seed of the new channels.
      overwrite: Whether a checkpoint that lies at `output` is replaced.
      tell: Gets the texts for the user.

    Raises:
      MattingError: The widths are impossible, or the checkpoints cannot be read or written.
    """
    check_target(output, overwrite=overwrite)
    narrow = load_checkpoint(checkpoint)
    config, variables, _ = widen(narrow.config, narrow.variables, widths, seed=seed)
    report = create_report(narrow.config, dict(widths))
    tell(format_report(report))
    widened: dict[str, Any] = {
        'checkpoint': checkpoint,
        'sha256': hash_checkpoint(narrow),
        'seed': seed,
        **report.to_dict(),
    }
    history = {'widened': widened, 'narrow': narrow.config.provenance}
    wide = Checkpoint(dataclasses.replace(config, provenance=history), variables)
    files = {'widths.png': encode_png(draw_widths(report))}
    save_checkpoint(output, wide, overwrite=overwrite, files=files)
    tell(f'{output}: {report.after.parameters:,} parameters, written')
