"""The reference rule: the original pruner's rule for MODNet, and the network that it describes.

In the backbone, the L1 norms of a layer's filters are scaled to [0, 1]; as many filters stay as lie
above `threshold`, rounded to a multiple of 8. The other branches lose a share `ratio` of their
channels. The decision is a JSON, from which the original's code can build the network too.

In two ways the rule does more than remove channels. It places a shortcut wherever the *new* widths
allow one, so the network may lose shortcuts and gain others. And it writes a hidden width as a
whole multiple of the block's input, where a multiple of one means a block without expansion.
`drop_shortcuts` and `build_target` do so too, and list what they change.

References:
  MODNet-ModelCompression (https://github.com/sisyphus-cv-lab/MODNet-ModelCompression).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.config.pruning import check_ratio, check_threshold
from mattingjax.config.schema import read_json
from mattingjax.errors import MattingError
from mattingjax.importers import modnet_names
from mattingjax.networks import ModelConfig, MODNetConfig, Variables, variable_shapes
from mattingjax.networks.channel_groups import ChannelGroup, get_width
from mattingjax.networks.mobilenet_v2 import ENC2X, ENC4X, MobileNetV2Config
from mattingjax.pruning.selection import Widths

PRUNE_INFO_FILE = 'prune_info.json'
_ROUND_TO = 8
# The ratio that leaves two channels of the narrowest layer, one for each half of IBNorm.
_HIGHEST_RATIO = 0.875


def round_to_8(count: int) -> int:
    """Rounds as MobileNets do: to a multiple of 8, at least 8 and at least 0.9 · count."""
    rounded = max(_ROUND_TO, (count + _ROUND_TO // 2) // _ROUND_TO * _ROUND_TO)
    return rounded + _ROUND_TO if rounded < 0.9 * count else rounded


def count_kept(kernel: np.ndarray, threshold: float) -> tuple[int, str | None]:
    """Decides how many filters of a convolution stay.

    Args:
      kernel: The kernel, [h, w, in, out].
      threshold: The scaled norm below which filters go, in [0, 1].

    Returns:
      The number of filters, and None. Where the original finds no place to cut and would leave a
      single filter, all filters, and the reason.
    """
    # Summed in float32 and in the original's order [out, in, h, w], for the same rounding.
    filters = np.ascontiguousarray(np.asarray(kernel, np.float32).transpose(3, 2, 0, 1))
    norms = np.sort(np.abs(filters).sum(axis=(1, 2, 3)))[::-1]
    total, spread = len(norms), norms[0] - norms[-1]
    if spread <= 1e-6 * norms[0]:  # rounding errors alone
        return total, 'all filters have the same norm, so all stay'
    below = (norms - norms[-1]) / spread < threshold
    if not below.any():
        return total, 'no filter lies below the threshold, so all stay'
    return min(total, round_to_8(int(np.argmax(below)) + 1)), None


def decide(
    config: ModelConfig, variables: Variables, ratio: float, threshold: float
) -> tuple[dict[str, Any], list[str]]:
    """Decides about a MODNet as the original pruner does.

    Args:
      config: The dense network.
      variables: The network's `params` and `batch_stats`.
      ratio: The share of channels that the high-resolution and fusion branches lose, in [0, 1).
      threshold: The threshold for the backbone, in [0, 1]; the higher it is, the less stays.

    Returns:
      The content of the pruner's JSON, and a line for each place where the rule gives an impossible
      width, which another one has replaced.

    Raises:
      MattingError: The network is no MODNet, or a number is outside its range.
    """
    if not isinstance(config.architecture, MODNetConfig):
        raise MattingError(f'the reference rule is for modnet, this is {config.network}')
    check_ratio(ratio)
    check_threshold(threshold)
    breakdowns: dict[str, list[str]] = {}  # the paths of the layers by what happened to them
    if ratio > _HIGHEST_RATIO:
        reason = f'ratio {ratio:g} leaves no two channels to halve, so {_HIGHEST_RATIO} is taken'
        breakdowns[reason], ratio = ['f_branch/conv_f_0'], _HIGHEST_RATIO
    kernels = flatten_dict(variables['params'], sep='/')

    def keep(path: str) -> int:
        count, reason = count_kept(kernels[f'{path}/conv/kernel'], threshold)
        if reason is not None:
            breakdowns.setdefault(reason, []).append(path)
        return count

    widths, expansions = _decide_backbone(config.architecture.backbone, keep, breakdowns)
    low_resolution = [config.architecture.conv_lr8x, keep('lr_branch/conv_lr16x')]
    info = {
        'ratio': ratio,
        'threshold': threshold,
        'new_cfg': widths,
        'new_expansion_cfg': expansions,
        'new_lr_channels': low_resolution,
        'new_hr_channels': [widths[ENC2X], widths[ENC4X]],
        'new_f_channels': low_resolution[:1],
    }
    return info, [_format_breakdown(reason, paths) for reason, paths in breakdowns.items()]


def _decide_backbone(
    config: MobileNetV2Config, keep: Callable[[str], int], breakdowns: dict[str, list[str]]
) -> tuple[list[int], list[int]]:
    """Decides the widths of stem, blocks and last convolution, and the expansion factors."""
    widths, expansions = [keep('backbone/features_0')], []
    for i, block in enumerate(config.blocks, start=1):
        path, expansion = f'backbone/features_{i}', 1
        if block.expand:
            hidden = max(keep(f'{path}/expand'), keep(f'{path}/depthwise'))
            expansion = hidden // widths[-1]
        if expansion == 0:
            expansion = 2
            reason = (
                'fewer hidden channels than inputs, which the rule makes 0; twice the inputs are '
                'the least with which a block expands'
            )
            breakdowns.setdefault(reason, []).append(path)
        expansions.append(expansion)
        widths.append(keep(f'{path}/project'))
    return [*widths, keep(f'backbone/features_{len(config.blocks) + 1}')], expansions


def _format_breakdown(reason: str, paths: list[str]) -> str:
    more = f' and {len(paths) - 1} more' if len(paths) > 1 else ''
    return f'{paths[0]}{more}: {reason}'


def format_prune_info(info: dict[str, Any]) -> str:
    """Formats the decision as JSON."""
    return json.dumps(info) + '\n'


def read_prune_info(path: Path | str) -> dict[str, Any]:
    """Reads and checks the decision in the JSON file of a pruner.

    Raises:
      WeightsError: The file is not such a JSON; the message names the field.
    """
    modnet_names.read_prune_info(path)
    return read_json(Path(path))


def architecture_of(info: dict[str, Any]) -> MODNetConfig:
    """Makes the architecture that a decision describes, with the original's shortcuts.

    Raises:
      MattingError: A field, which is named, is missing or impossible.
    """
    try:
        return modnet_names.config_from_prune_info(info)
    except MattingError as error:
        ratio = info.get('ratio')
        raise MattingError(f'prune_info of ratio {ratio!r}: {error}') from error


def drop_shortcuts(config: ModelConfig, target: MODNetConfig) -> tuple[ModelConfig, list[str]]:
    """Drops the shortcuts that `target` lacks; returns the network and a line for each of them.

    Shortcuts have no variables; without them fewer channels belong together.
    """
    architecture = config.architecture
    assert isinstance(architecture, MODNetConfig)
    blocks, notes = [], []
    for i, (block, other) in enumerate(
        zip(architecture.backbone.blocks, target.backbone.blocks, strict=True), start=1
    ):
        if block.shortcut and not other.shortcut:
            notes.append(f'backbone/features_{i}: the shortcut goes, its ends differ in width')
        blocks.append(dataclasses.replace(block, shortcut=block.shortcut and other.shortcut))
    backbone = dataclasses.replace(architecture.backbone, blocks=tuple(blocks))
    architecture = dataclasses.replace(architecture, backbone=backbone)
    return dataclasses.replace(config, architecture=architecture), notes


def coupled_widths(
    groups: tuple[ChannelGroup, ...], target: MODNetConfig, hint: str, *, widest: bool = False
) -> Widths:
    """Finds the width of each group in another architecture.

    Args:
      groups: The channel groups of the dense network.
      target: The other architecture.
      hint: The end of the error message about a width that is larger than the group's.
      widest: Whether the fields of a group may differ in `target`; the largest width is taken.

    Raises:
      MattingError: A width is larger than the group's, or the fields of a group differ.
    """
    widths, architecture = {}, target.to_dict()
    for group in groups:
        wanted = {field: get_width(architecture, field) for field in group.fields}
        for field, width in wanted.items():
            if width > group.width:
                raise MattingError(
                    f'{field}: {width} channels wanted, the network has {group.width}; {hint}'
                )
        if len(set(wanted.values())) > 1 and not widest:
            raise MattingError(f'{group.name}: expected one width for all of {wanted}')
        widths[group.name] = max(wanted.values())
    return widths


def build_target(config: ModelConfig, target: MODNetConfig) -> tuple[ModelConfig, list[str]]:
    """Gives a network the architecture `target`, which has the same widths.

    This adds the shortcuts that the original adds, and removes the expansions that it leaves out.

    Returns:
      The network, and a line for each change.
    """
    assert isinstance(config.architecture, MODNetConfig)
    notes = []
    pairs = zip(config.architecture.backbone.blocks, target.backbone.blocks, strict=True)
    for i, (block, other) in enumerate(pairs, start=1):
        if other.shortcut and not block.shortcut:
            notes.append(f'backbone/features_{i}: gets a shortcut, its ends have one width now')
        if block.expand and not other.expand:
            notes.append(f'backbone/features_{i}: loses its expansion, whose factor is 1 now')
    return dataclasses.replace(config, architecture=target), notes


def fit_variables(config: ModelConfig, variables: Variables) -> Variables:
    """Picks the variables that a network has from those of a network that has more."""
    values = flatten_dict(variables, sep='/')
    names = flatten_dict(variable_shapes(config), sep='/')
    return unflatten_dict({name: values[name] for name in names}, sep='/')
