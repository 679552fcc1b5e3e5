"""Selection: a rule decides how many channels of each group stay, and then the best ones stay.

The rules give widths, and `keep_best` picks the most important channels for them. `search_widths`
turns any rule with a ratio into one that meets budgets. `reference_rule` has the original pruner's
rule.
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

Widths = dict[str, int]  # the number of channels that stay, by name of the group
_HIGHEST_RATIO = 0.999  # leaves every group at its least width
_ROUNDING = 1e-9  # more than the rounding errors of a share of a width


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits that widths keep to, whatever the rule.

    Patterns are names of groups or fields, with * and ? as in file names, such as
    'backbone.blocks.*.hidden'.

    Attributes:
      round_to: Widths are rounded to multiples of this, as 8 suits hardware; at least 1.
      min_channels: The least width of a group, at least 1; narrower groups stay as they are.
      max_ratio: The largest share of its channels that a group loses, in [0, 1].
      ignored: Patterns of groups that stay as they are.
      ratios: The share of channels that groups lose whatever the rule says, in [0, 1), by pattern.
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
        """Takes the limits from the settings of pruning."""
        return cls(
            options.round_to,
            options.min_channels,
            options.max_ratio,
            options.ignore,
            options.group_ratios,
        )

    def fixed_ratios(self, groups: Iterable[ChannelGroup]) -> dict[str, float]:
        """Finds the groups whose ratio no rule decides, and their ratios, 0 if ignored.

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
        """Returns these limits without `min_channels` and `max_ratio`."""
        return dataclasses.replace(self, min_channels=1, max_ratio=1.0)

    def allowed(self, group: ChannelGroup, width: float) -> int:
        """Returns the possible width of a group that is nearest to the wanted one."""
        # The wanted width may be a whole number but for rounding errors; halves are rounded up, as
        # `round_to_8` does.
        steps = math.floor(width / self.round_to + 0.5 + _ROUNDING)
        floor = max(group.minimum, self.min_channels, group.width * (1 - self.max_ratio))
        steps = max(steps, math.ceil(floor / self.round_to - _ROUNDING))
        return min(group.width, steps * self.round_to)


def describe_held(
    groups: Iterable[ChannelGroup], widths: Widths, free: Widths, limits: Limits
) -> str | None:
    """Describes how many groups lose less than was asked for, and why; None if none does.

    Args:
      groups: The channel groups of the network.
      widths: The widths that a rule gave with `limits`.
      free: The widths that the same rule gave with `limits.without_floor()`.
      limits: The limits of `widths`.
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
    """Selects widths so that every group loses the same share of its channels.

    Args:
      groups: The channel groups of the network.
      ratio: The share of the channels that goes, in [0, 1).
      limits: The limits of the widths; None sets none.

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
    """Selects widths so that the least important channels go, wherever they are.

    Args:
      groups: The channel groups of the network.
      importance: The importance of each channel, comparable between groups, as `normalise` of
        `compute_importance` makes it.
      ratio: The share of all channels that goes, before the limits apply, in [0, 1).
      limits: The limits of the widths; None sets none.

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
    """A limit on the cost of a network.

    Attributes:
      name: The name of the setting, for messages.
      limit: The highest cost that is allowed.
      measure: A function from widths to their cost, in the unit of the limit.
    """

    name: str
    limit: float
    measure: Callable[[Widths], float]


def search_widths(
    select: Callable[[float], Widths], budgets: Iterable[Budget], steps: int = 14
) -> tuple[float, Widths]:
    """Searches for the least ratio that meets every budget.

    Args:
      select: A rule from a ratio to widths, which shrink as the ratio grows.
      budgets: The budgets, which are best ordered from cheap to costly measurements.
      steps: The number of bisections; the ratio is found to within 2 to the power of −`steps`.

    Returns:
      The ratio and its widths.

    Raises:
      MattingError: A budget is exceeded even with every group at its least width.
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
    low, high = 0.0, _HIGHEST_RATIO
    widths = select(high)
    if excess := find_excess(widths):
        raise MattingError(f'{excess} with every group at its floor')
    for _ in range(steps):
        middle = (low + high) / 2
        candidate = select(middle)
        # The present widths are known to meet the budgets.
        if candidate == widths or find_excess(candidate) is None:
            high, widths = middle, candidate
        else:
            low = middle
    return high, widths


def keep_best(
    groups: Iterable[ChannelGroup], importance: Importance, widths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Picks the most important channels of each group, for IBNorm half of them in each half.

    Args:
      groups: The channel groups of the network.
      importance: The importance of each channel, [width], by name of the group.
      widths: The number of channels that stay, by name of the group; absent groups keep all.

    Returns:
      The indices of the channels that stay, ascending, by name of the group.
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
    """Returns the indices of the `count` largest, ascending; of equal ones the first."""
    return np.sort(np.argsort(-scores, kind='stable')[:count])
