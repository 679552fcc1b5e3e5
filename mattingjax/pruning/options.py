"""The settings of pruning: fields of configs/prune_*.py, flags of scripts/prune.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from mattingjax.config.schema import Schema
from mattingjax.errors import MattingError
from mattingjax.pruning.importance import AGGREGATIONS, METHODS
from mattingjax.pruning.selection import Limits, check_ratio, check_threshold

SELECTIONS = ('uniform', 'global', 'reference')
TARGETS = ('target_params', 'target_macs', 'target_latency')
_LIMIT = 2**63  # whole numbers are below it; Python cannot even print one of thousands of digits
_SUFFIXES = {'k': 1e3, 'M': 1e6, 'G': 1e9}


@dataclasses.dataclass(frozen=True)
class PruneOptions(Schema):
    """How much goes, and what.

    Attributes:
      selection: 'uniform', the same share of each group; 'global', the least important channels
        wherever they are; 'reference', the original pruner's rule for MODNet.
      ratio: The share of channels that goes, in [0, 1). For 'reference' of the branches, with
        `threshold` for the backbone. Not together with targets.
      threshold: For 'reference', in [0, 1].
      keep_shortcuts: For 'reference': every shortcut stays, and the widths that it ties together
        become the largest of the rule's. Exact surgery, but not the network of the original.
      target_params, target_macs, target_latency: Budgets, each a number ('1.34M', '4.4G') or a
        share of the dense network's ('0.5x'). MACs count every head, as published figures do;
        latency is in milliseconds.
      round_to, min_channels, max_ratio, ignore, group_ratios: What widths keep to; see
        `selection.Limits`. Not for 'reference', whose rule has its own rounding.
      method, aggregate, normalise, scale_invariant, seed: See `compute_importance`.
    """

    selection: str = 'uniform'
    ratio: float | None = None
    threshold: float | None = None
    keep_shortcuts: bool = False
    target_params: str | None = None
    target_macs: str | None = None
    target_latency: str | None = None
    round_to: int = 8
    min_channels: int = 8
    max_ratio: float = 0.9
    ignore: tuple[str, ...] = ()
    group_ratios: dict[str, float] = dataclasses.field(default_factory=dict, hash=False)
    method: str = 'l1'
    aggregate: str = 'mean'
    normalise: bool = True
    scale_invariant: bool = True
    seed: int = 0

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """From names and values; fields that are absent have their defaults.

        Lists do for tuples, and 'NAME=RATIO' texts for the dictionary of `group_ratios`.

        Raises:
          MattingError: A name is unknown, or a value impossible.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if 'optimizer' in settings:
            raise MattingError(
                'config: expected settings of pruning, got those of scripts/train.py'
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
        self.require(self.selection in SELECTIONS, 'selection', f'one of {", ".join(SELECTIONS)}')
        self.require(self.method in METHODS, 'method', f'one of {", ".join(METHODS)}')
        self.require(
            self.aggregate in AGGREGATIONS, 'aggregate', f'one of {", ".join(AGGREGATIONS)}'
        )
        self.require(0 <= self.seed < _LIMIT, 'seed', '0 or more, below 2**63')
        if self.ratio is not None:
            check_ratio(self.ratio)
        if self.threshold is not None:
            check_threshold(self.threshold)
        _ = self.limits
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

    @property
    def limits(self) -> Limits:
        """What widths keep to."""
        return Limits(
            self.round_to, self.min_channels, self.max_ratio, self.ignore, self.group_ratios
        )

    def targets(self) -> list[str]:
        """Names of the budgets that are set."""
        return [name for name in TARGETS if getattr(self, name) is not None]


def merge_settings(
    file: Mapping[str, Any],
    flags: Mapping[str, Any],
    *,
    changed: Iterable[str] = (),
    has_info: bool = False,
) -> dict[str, Any]:
    """Settings of a file with flags over them; what those rule out leaves the file's.

    Args:
      file: Settings of the file.
      flags: Those of the flags that were given.
      changed: Names that --config.NAME changed in the file.
      has_info: Whether --prune_info gives the decision.

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
    """'NAME=RATIO' texts as a dictionary; what is one stays.

    Raises:
      MattingError: A text is none of these.
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


def parse_target(name: str, text: str, measure_dense: Callable[[], float]) -> float:
    """A budget as a number: '1340000', '1.34M' (k, M, G), or '0.5x' of the dense network's.

    Raises:
      MattingError: It is none of these, or not over 0.
    """
    text = str(text).strip()
    factor = _SUFFIXES.get(text[-1:])
    is_share = text.endswith('x')
    try:
        value = float(text[:-1] if factor or is_share else text)
    except ValueError:
        value = 0
    if not 0 < value < float('inf'):
        raise MattingError(f"{name}: expected a number over 0, '1.34M' or '0.5x', got {text!r}")
    return value * (measure_dense() if is_share else factor or 1)
