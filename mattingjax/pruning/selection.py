"""Which channels stay: how many of each group, by one of several rules, and then the best of them.

A rule gives widths; `keep_best` fills them with the most important channels. `search_widths`
turns any rule with a ratio into one that meets budgets. The original pruner's rule is in
`reference_rule`.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from mattingjax.config.pruning import PruneOptions, check_limits, check_ratio
from mattingjax.errors import MattingError
from mattingjax.networks.channel_groups import ChannelGroup
from mattingjax.pruning.importance import Importance

Widths = dict[str, int]  # name of a group → channels that stay
_MOST = 0.999  # ratio that leaves every group at its floor
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Limits:
    """What every rule keeps to.

    Patterns are names of groups or fields, with * and ? as in file names:
    'backbone.blocks.*.hidden'.

    Attributes:
      round_to: Widths are the nearest multiples of this (hardware likes 8); 1 leaves them.
      min_channels: The floor of each group; groups that are narrower stay as they are.
      max_ratio: The largest share that any group loses, in [0, 1].
      ignored: Patterns of groups that stay.
      ratios: Pattern → share of channels that such groups lose, whatever the rule says.
    """

    round_to: int = 1
    min_channels: int = 1
    max_ratio: float = 1.0
    ignored: tuple[str, ...] = ()
    ratios: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_limits(self.round_to, self.min_channels, self.max_ratio, self.ratios)

    @classmethod
    def from_options(cls, options: PruneOptions) -> Limits:
        """The limits that the settings of pruning set."""
        return cls(
            options.round_to,
            options.min_channels,
            options.max_ratio,
            options.ignore,
            options.group_ratios,
        )

    def fixed_ratios(self, groups: Iterable[ChannelGroup]) -> dict[str, float]:
        """Name of a group → the ratio it has whatever the rule says; 0 where it is ignored.

        Raises:
          MattingError: A pattern names no group.
        """
        ratios = {**self.ratios, **dict.fromkeys(self.ignored, 0.0)}
        fixed: dict[str, float] = {}
        for pattern, ratio in ratios.items():
            names = [
                group.name
                for group in groups
                if any(fnmatch.fnmatchcase(field, pattern) for field in group.fields)
            ]
            if not names:
                setting = 'ignore' if pattern in self.ignored else 'group_ratios'
                raise MattingError(
                    f'{setting}: no channel group is named {pattern!r} (a dry run lists them)'
                )
            fixed |= dict.fromkeys(names, ratio)
        return fixed

    def without_floor(self) -> Limits:
        """The same, but that a group may lose all that it can."""
        return dataclasses.replace(self, min_channels=1, max_ratio=1.0)

    def allowed(self, group: ChannelGroup, width: float) -> int:
        """The possible width nearest to the one that is wanted."""
        # Shares of widths are whole numbers but for rounding; halves go up, as in round_to_8.
        steps = math.floor(width / self.round_to + 0.5 + _ROUNDING)
        floor = max(group.minimum, self.min_channels, group.width * (1 - self.max_ratio))
        steps = max(steps, math.ceil(floor / self.round_to - _ROUNDING))
        return min(group.width, steps * self.round_to)


def describe_held(
    groups: Iterable[ChannelGroup], widths: Widths, free: Widths, limits: Limits
) -> str | None:
    """Which groups lose less than was asked for, and why; None if there is no such group.

    Args:
      groups: The network's.
      widths: What a rule gave with `limits`.
      free: What it gave without a floor; see `Limits.without_floor`.
      limits: What the widths keep to.
    """
    groups = tuple(groups)
    held = [group for group in groups if widths[group.name] > free[group.name]]
    if not held:
        return None
    by_share = sum(
        group.width * (1 - limits.max_ratio) > max(group.minimum, limits.min_channels)
        for group in held
    )
    reasons = [
        f'{name}={value:g} holds {count}'
        for name, value, count in (
            ('min_channels', limits.min_channels, len(held) - by_share),
            ('max_ratio', limits.max_ratio, by_share),
        )
        if count
    ]
    kept, total = (sum(sizes) for sizes in (widths.values(), (group.width for group in groups)))
    return (
        f'{len(held)} of {len(groups)} groups lose less than the ratio asks for '
        f'({", ".join(reasons)}); {1 - kept / total:.0%} of all channels go'
    )


def select_uniform(
    groups: Iterable[ChannelGroup], ratio: float, limits: Limits | None = None
) -> Widths:
    """Every group loses the same share of its channels.

    Raises:
      MattingError: The ratio is outside [0, 1), or a pattern names no group.
    """
    check_ratio(ratio)
    groups, limits = tuple(groups), limits or Limits()
    fixed = limits.fixed_ratios(groups)
    return {group.name: _width_at(group, fixed.get(group.name, ratio), limits) for group in groups}


def _width_at(group: ChannelGroup, ratio: float, limits: Limits) -> int:
    return limits.allowed(group, group.width * (1 - ratio)) if ratio else group.width


def select_global(
    groups: Iterable[ChannelGroup],
    importance: Importance,
    ratio: float,
    limits: Limits | None = None,
) -> Widths:
    """The least important channels of the network go, wherever they are.

    Args:
      groups: The network's.
      importance: Comparable from group to group: see `normalise` in `compute_importance`.
      ratio: The share of all channels that goes, before floors and rounding; in [0, 1).
      limits: What the widths keep to.

    Raises:
      MattingError: The ratio is outside [0, 1), or a pattern names no group.
    """
    check_ratio(ratio)
    groups, limits = tuple(groups), limits or Limits()
    fixed = limits.fixed_ratios(groups)
    ranked = [group for group in groups if group.name not in fixed]
    owner = np.repeat(np.arange(len(ranked)), [group.width for group in ranked])
    order = np.argsort(
        np.concatenate([importance[group.name] for group in ranked] or [np.zeros(0)]),
        kind='stable',
    )
    removed = np.bincount(owner[order[: round(ratio * len(order))]], minlength=len(ranked))
    widths = {
        group.name: limits.allowed(group, group.width - gone) if gone else group.width
        for group, gone in zip(ranked, removed.tolist(), strict=True)
    }
    return {
        group.name: widths[group.name]
        if group.name in widths
        else _width_at(group, fixed[group.name], limits)
        for group in groups
    }


@dataclasses.dataclass(frozen=True)
class Budget:
    """A limit to keep to.

    Attributes:
      name: For messages.
      limit: The most that is allowed.
      measure: Widths → what they cost, in the limit's unit.
    """

    name: str
    limit: float
    measure: Callable[[Widths], float]


def search_widths(
    select: Callable[[float], Widths], budgets: Iterable[Budget], steps: int = 14
) -> tuple[float, Widths]:
    """The least pruning that meets every budget.

    Args:
      select: A rule: ratio → widths, which shrink as the ratio grows.
      budgets: All are met; those that are cheap to measure first.
      steps: Bisections: the ratio is found to within 2 to the power of minus `steps`.

    Returns:
      The ratio and its widths.

    Raises:
      MattingError: Even the floors of all groups exceed a budget.
    """
    budgets = tuple(budgets)

    def find_excess(widths: Widths) -> str | None:
        for budget in budgets:
            cost = budget.measure(widths)
            if cost > budget.limit:
                return f'{budget.name}: {budget.limit:g} is out of reach, {cost:g} is left'
        return None

    widths = select(0.0)
    if find_excess(widths) is None:
        return 0.0, widths
    low, high = 0.0, _MOST
    widths = select(high)
    if excess := find_excess(widths):
        raise MattingError(f'{excess} with every group at its floor')
    for _ in range(steps):
        middle = (low + high) / 2
        candidate = select(middle)
        # What has been measured to fit need not be measured again.
        if candidate == widths or find_excess(candidate) is None:
            high, widths = middle, candidate
        else:
            low = middle
    return high, widths


def keep_best(
    groups: Iterable[ChannelGroup], importance: Importance, widths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The most important channels of each group; of IBNorm's halves, so many of each.

    Args:
      groups: The network's.
      importance: Name of a group → [width].
      widths: Name of a group → how many stay; groups that are absent keep all.

    Returns:
      Name of a group → their indices, ascending.
    """
    keep = {}
    for group in groups:
        scores, width = importance[group.name], widths.get(group.name, group.width)
        if group.is_halved:
            middle, first = group.width // 2, width // 2
            halves = _best(scores[:middle], first), middle + _best(scores[middle:], width - first)
            keep[group.name] = np.concatenate(halves)
        else:
            keep[group.name] = _best(scores, width)
    return keep


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` largest, ascending; of equal ones the first."""
    return np.sort(np.argsort(-scores, kind='stable')[:count])
