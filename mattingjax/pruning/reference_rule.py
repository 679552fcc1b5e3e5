"""The original pruner's rule for MODNet, number for number, and the network that it means.

Backbone, by each layer's own kernels: L1 norms of the filters, sorted and scaled to [0, 1]; as many
stay as lie above `threshold`, rounded to 8. Other branches: a share `ratio` of the channels goes.
The decision is a JSON, from which anyone can build the network.

Two of its ways are not surgery. It places a shortcut wherever the *new* widths allow one, so that
pruning may drop some of the dense network's or add some. And it writes a hidden width as a whole
multiple of the block's input; a multiple of one means a block that does not expand at all. The
network of the JSON is built with both (`drop_shortcuts`, `build_target`); what they change is said.

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
_MOST = 0.875  # ratio that leaves two channels of the narrowest layer: IBNorm halves them


def round_to_8(count: int) -> int:
    """The usual MobileNet rounding: to the nearest 8, at least 8, never below 0.9 of it."""
    rounded = max(_ROUND_TO, (count + _ROUND_TO // 2) // _ROUND_TO * _ROUND_TO)
    return rounded + _ROUND_TO if rounded < 0.9 * count else rounded


def count_kept(kernel: np.ndarray, threshold: float) -> tuple[int, str | None]:
    """How many filters of a convolution stay.

    Args:
      kernel: [h, w, in, out].
      threshold: In [0, 1].

    Returns:
      The number, and None; where the original's rule would leave a single filter because it finds
      no place to cut, all of them, and why.
    """
    # In float32 and in the order of the original's kernels [out, in, h, w]: the same rounding.
    filters = np.ascontiguousarray(np.asarray(kernel, np.float32).transpose(3, 2, 0, 1))
    norms = np.sort(np.abs(filters).sum(axis=(1, 2, 3)))[::-1]
    total, spread = len(norms), norms[0] - norms[-1]
    if spread <= 1e-6 * norms[0]:  # rounding alone
        return total, 'all filters have the same norm, so all stay'
    below = (norms - norms[-1]) / spread < threshold
    if not below.any():
        return total, 'no filter lies below the threshold, so all stay'
    return min(total, round_to_8(int(np.argmax(below)) + 1)), None


def decide(
    config: ModelConfig, variables: Variables, ratio: float, threshold: float
) -> tuple[dict[str, Any], list[str]]:
    """The original's decision about a MODNet.

    Args:
      config: The dense network.
      variables: Its `params` and `batch_stats`.
      ratio: The share of channels that the high-resolution and fusion branches lose, in [0, 1).
      threshold: For the backbone, in [0, 1]; the higher, the less stays.

    Returns:
      The content of the pruner's JSON; and where the rule broke down and a sound width took the
      place of its own, one line each.

    Raises:
      MattingError: The network is no MODNet, or a number is outside its range.
    """
    if not isinstance(config.architecture, MODNetConfig):
        raise MattingError(f'the reference rule is for modnet, this is {config.network}')
    check_ratio(ratio)
    check_threshold(threshold)
    breakdowns: dict[str, list[str]] = {}  # what happened → where
    if ratio > _MOST:
        reason = f'ratio {ratio:g} leaves no two channels to halve, so {_MOST} is taken'
        breakdowns[reason], ratio = ['f_branch/conv_f_0'], _MOST
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
    """The widths of stem, blocks and last convolution, and the blocks' expansions."""
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
    """The decision as JSON."""
    return json.dumps(info) + '\n'


def read_prune_info(path: Path | str) -> dict[str, Any]:
    """The decision in a pruner's JSON, checked.

    Raises:
      WeightsError: The file is not such a JSON; the field is named.
    """
    modnet_names.read_prune_info(path)
    return read_json(Path(path))


def architecture_of(info: dict[str, Any]) -> MODNetConfig:
    """The network that a decision means, with the original's shortcuts.

    Raises:
      MattingError: A field is missing or impossible; it is named.
    """
    try:
        return modnet_names.config_from_prune_info(info)
    except MattingError as error:
        ratio = info.get('ratio')
        raise MattingError(f'prune_info of ratio {ratio!r}: {error}') from error


def drop_shortcuts(config: ModelConfig, target: MODNetConfig) -> tuple[ModelConfig, list[str]]:
    """The dense network without the shortcuts that `target` lacks, and which those are.

    Shortcuts have no variables; without them fewer channels are tied together.
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
    """The width of each group in another network.

    Args:
      groups: The dense network's.
      target: The other.
      hint: What to say of a width that is larger than the group's.
      widest: Whether fields of one group may differ in `target`: the largest counts.

    Raises:
      MattingError: A width is larger than the group's, or fields of one group differ.
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
    """The network `target` in place of one that has its widths, and what that changes.

    Shortcuts that the original adds are added, expansions that it leaves out are left out.
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
    """The variables that a network has, out of one that has more."""
    values = flatten_dict(variables, sep='/')
    names = flatten_dict(variable_shapes(config), sep='/')
    return unflatten_dict({name: values[name] for name in names}, sep='/')
