"""The settings of pruning: each field is a setting in configs/prune_*.py and a flag of prune.py."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Self

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from mattingjax.config.schema import Schema, setting
from mattingjax.errors import MattingError

SELECTIONS = ('uniform', 'global', 'reference')
METHODS = ('l1', 'l2', 'bn_scale', 'fpgm', 'taylor', 'random')
AGGREGATIONS = ('mean', 'sum', 'max')
TARGETS = ('target_params', 'target_macs', 'target_latency')
_LIMIT = 2**63  # for whole numbers, as Python refuses to print one of thousands of digits
_MOST_CHANNELS = 2**16


@dataclasses.dataclass(frozen=True)
class PruneOptions(Schema):
    """How much of a network is pruned, and what; each field's help text says what it is."""

    selection: str = setting(
        'uniform',
        "How widths are chosen: 'uniform', the same share of each group; 'global', the least "
        "important channels wherever they are; 'reference', the original pruner's rule for MODNet, "
        'which a threshold or a prune_info asks for too.',
        choices=SELECTIONS,
    )
    ratio: float | None = setting(
        None,
        'Share of the channels that goes, 0 or more and below 1, instead of the targets. With the '
        'reference rule it is the share of the high-resolution and fusion branches.',
    )
    threshold: float | None = setting(
        None, "The reference rule's threshold for the backbone, 0 to 1; the higher, the less stays."
    )
    keep_shortcuts: bool = setting(
        False,
        'With the reference rule: keep every shortcut, and give the layers that it ties together '
        "the largest of the rule's widths. The surgery is exact then, but the network is not the "
        "original's.",
    )
    target_params: str | None = setting(
        None, "Largest number of parameters: '1.34M', or '0.2x' for a share of the dense network's."
    )
    target_macs: str | None = setting(
        None,
        "Largest number of MACs: '4.4G', '0.25x'. Heads that only training needs are counted too, "
        'as published figures do. Of several targets, the least pruning that meets all of them is '
        'taken.',
    )
    target_latency: str | None = setting(
        None,
        "Highest latency of OpenVINO on this CPU in milliseconds: '40', '0.5x'. A network is "
        'exported for each trial.',
    )
    round_to: int = setting(
        8,
        'Widths are multiples of this, as suits SIMD units and NPUs. Not for the reference rule.',
    )
    min_channels: int = setting(8, 'The least number of channels that a group keeps.')
    max_ratio: float = setting(0.9, 'The largest share of its channels that a group loses.')
    ignore: tuple[str, ...] = setting(
        (),
        "Groups that stay as they are, * and ? allowed: 'backbone.blocks.*.hidden'. A dry run "
        'lists all groups.',
    )
    group_ratios: dict[str, float] = setting(  # noqa: RUF009 (a field, like the others)
        dict,
        "Groups with ratios of their own: 'conv_hr*=0.25'; of several that fit, the last counts.",
    )
    method: str = setting(
        'l1',
        'What makes a channel important; taylor needs photos and their alphas.',
        choices=METHODS,
    )
    aggregate: str = setting(
        'mean',
        'How the importances of the kernels that compute a group together are combined.',
        choices=AGGREGATIONS,
    )
    normalise: bool = setting(
        True, "Divide each kernel's importances by their mean, so that groups can be compared."
    )
    scale_invariant: bool = setting(
        True,
        'Weigh a channel by its kernel with batch normalisation folded in, times the weights that '
        "read it. The published MODNet's backbone comes folded, where plain norms mislead.",
    )
    seed: int = setting(0, 'The random seed of the method random.')

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Makes the options from values by name; absent fields have their defaults.

        A list may stand for a tuple, and 'NAME=RATIO' strings for the dictionary `group_ratios`.

        Raises:
          MattingError: A name is unknown, or a value is impossible.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if 'optimizer' in settings:
            raise MattingError(
                'config: expected settings of pruning, got those of mattingjax train'
            )
        if unknown := sorted(set(settings) - set(names)):
            raise MattingError(f'{unknown[0]}: unknown setting; known: {", ".join(names)}')
        values = dict(settings)
        for name, value in values.items():
            if isinstance(value, int) and abs(value) >= _LIMIT:
                raise MattingError(f'{name}: expected less than 2**63 in size, got more')
        if isinstance(values.get('ignore'), list):
            values['ignore'] = tuple(values['ignore'])
        if 'group_ratios' in values:
            values['group_ratios'] = parse_ratios(values['group_ratios'])
        return cls(**values)

    def validate(self) -> None:
        for name, choices in (
            ('selection', SELECTIONS),
            ('method', METHODS),
            ('aggregate', AGGREGATIONS),
        ):
            self.require(getattr(self, name) in choices, name, f'one of {", ".join(choices)}')
        self.require(0 <= self.seed < _LIMIT, 'seed', '0 or more, below 2**63')
        if self.ratio is not None:
            check_ratio(self.ratio)
        if self.threshold is not None:
            check_threshold(self.threshold)
        check_limits(self.round_to, self.min_channels, self.max_ratio, self.group_ratios)
        if self.selection == 'reference':
            if self.targets():
                raise MattingError(f'{self.targets()[0]}: the reference rule knows no targets')
            if self.ignore or self.group_ratios:
                raise MattingError('ignore, group_ratios: the reference rule decides every group')
        elif self.threshold is not None or self.keep_shortcuts:
            raise MattingError('threshold, keep_shortcuts: only with selection reference')
        elif (self.ratio is None) == (not self.targets()):
            raise MattingError(
                'how much to prune: expected either a ratio or one or more of target_params, '
                'target_macs and target_latency'
            )

    def targets(self) -> list[str]:
        """Returns the names of the targets that are set."""
        return [name for name in TARGETS if getattr(self, name) is not None]


def prune_config() -> ConfigDict:
    """Makes the settings of pruning with their defaults; `PruneOptions` says what each is."""
    config, hints = ConfigDict(), typing.get_type_hints(PruneOptions)
    for field in dataclasses.fields(PruneOptions):
        default = field.default
        if default is dataclasses.MISSING:
            default = ()  # of 'NAME=RATIO' strings
        elif default is None:
            default = placeholder(typing.get_args(hints[field.name])[0])
        config[field.name] = default
    return config


def merge_settings(
    file: Mapping[str, Any],
    flags: Mapping[str, Any],
    *,
    changed: Iterable[str] = (),
    has_info: bool = False,
) -> dict[str, Any]:
    """Merges the settings of a file with flags, which win over it.

    Settings of the file that contradict a flag are dropped, such as its ratio if there is a target.

    Args:
      file: The settings of the file, by name.
      flags: The values of the flags that were given, by name.
      changed: The names of settings that --config.NAME has changed.
      has_info: Whether --prune_info gives the decision.

    Returns:
      The settings for `PruneOptions.from_settings`, by name.

    Raises:
      MattingError: The flags contradict each other.
    """
    targets, given = set(TARGETS), {*flags, *changed}
    info = {'prune_info'} if has_info else set()
    if flags.get('selection', 'reference') != 'reference':
        for name in sorted((set(flags) & {'threshold', 'keep_shortcuts'}) | info):
            raise MattingError(f'{name}: only with selection=reference')
    if has_info:
        for name in sorted(set(flags) & {'ratio', 'threshold', *targets}):
            raise MattingError(f'{name}: not with a prune_info, which says how much goes')
    dropped = set()
    if 'ratio' in given:  # how much goes is one choice
        dropped |= targets
    if given & targets:
        dropped |= {'ratio'} | (targets if targets & set(flags) else set())
    if info or 'threshold' in flags or flags.get('selection') == 'reference':
        dropped |= {*targets, 'selection', 'ignore', 'group_ratios'}
        if file.get('selection') != 'reference':
            dropped.add('ratio')
        if info:
            dropped |= {'ratio', 'threshold'}
        flags = {'selection': 'reference', **flags}
    elif 'selection' in flags:
        dropped |= {'threshold', 'keep_shortcuts'}
    elif file.get('threshold') is not None:
        flags = {'selection': 'reference', **flags}
    kept = {name: value for name, value in file.items() if name not in dropped - set(changed)}
    return {**kept, **flags}


def parse_ratios(ratios: Mapping[str, Any] | Iterable[str]) -> dict[str, Any]:
    """Parses 'NAME=RATIO' strings into a dictionary; a dictionary is copied.

    Raises:
      MattingError: A string is not of this form.
    """
    if isinstance(ratios, Mapping):
        return dict(ratios)
    if not isinstance(ratios, str | list | tuple):
        raise MattingError(f'group_ratios: expected NAME=RATIO texts, got {ratios!r:.80}')
    parsed = {}
    for text in [ratios] if isinstance(ratios, str) else ratios:
        name, _, ratio = str(text).rpartition('=')
        try:
            parsed[name] = float(ratio)
        except ValueError:
            name = ''
        if not name:
            raise MattingError(f'group_ratios: expected NAME=RATIO, got {text}')
    return parsed


def check_ratio(ratio: float, name: str = 'ratio') -> None:
    """Raises MattingError unless a ratio is a share of channels that can go."""
    if not isinstance(ratio, int | float) or not 0 <= ratio < 1:
        raise MattingError(f'{name}: expected 0 or more and below 1, got {ratio}')


def check_threshold(threshold: float) -> None:
    """Raises MattingError unless the reference rule can take a threshold."""
    if not 0 <= threshold <= 1:
        raise MattingError(f'threshold: expected 0 to 1, got {threshold}')


def check_limits(
    round_to: int, min_channels: int, max_ratio: float, ratios: Mapping[str, float]
) -> None:
    """Raises MattingError unless widths can keep to these limits, which `PruneOptions` explains."""
    for name, value in (('round_to', round_to), ('min_channels', min_channels)):
        if not 1 <= value <= _MOST_CHANNELS:
            raise MattingError(f'{name}: expected 1 to {_MOST_CHANNELS}, got {value}')
    if not 0 <= max_ratio <= 1:
        raise MattingError(f'max_ratio: expected 0 to 1, got {max_ratio}')
    for pattern, ratio in ratios.items():
        check_ratio(ratio, f'ratio of {pattern}')
