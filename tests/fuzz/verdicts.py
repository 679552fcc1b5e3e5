"""What became of cases, and the table of it."""

import collections
from collections.abc import Sequence
from typing import NamedTuple

# What must never happen, as the table calls it: an exception that is not the library's, or a crash;
# too long; too much memory; something written outside, or read that is not the input; something
# started, called or connected to; a result or a message of the wrong form.
FAULTS = ('tracebacks', 'hangs', 'memory', 'outside', 'executed', 'malformed')
_FORM = '{:12} {:>6} {:>7} {:>8} {:>10} {:>6} {:>6} {:>7} {:>8} {:>9} {:>7} {:>8} {:>9}'


class Verdict(NamedTuple):
    """What became of a case.

    Attributes:
      kind: Its kind.
      name: What draws it again: a seed for `python -m tests.fuzz --kinds KIND --seed SEED --cases
        1`, or its name in the corpus.
      outcome: 'worked' or 'refused', which are allowed, or one of `FAULTS`.
      detail: The error's message, or what went wrong.
      seconds, peak_bytes: What it took, of a processor and of memory.
    """

    kind: str
    name: str
    outcome: str
    detail: str
    seconds: float
    peak_bytes: int

    @property
    def is_failure(self) -> bool:
        return self.outcome in FAULTS

    def __str__(self) -> str:
        return f'{self.kind} {self.name}: {self.outcome}: {self.detail}'


def summarise(verdicts: Sequence[Verdict]) -> str:
    """Counts and the largest figures by kind and of all, then every failure."""
    head = ('kind', 'cases', 'worked', 'refused', *FAULTS, 'mean', 'longest', 'memory')
    kinds = dict.fromkeys(verdict.kind for verdict in verdicts)
    rows = [_row(kind, [v for v in verdicts if v.kind == kind]) for kind in kinds]
    lines = [_FORM.format(*head), *rows]
    if verdicts:
        lines.append(_row('all', verdicts))
    return '\n'.join([*lines, *(str(verdict) for verdict in verdicts if verdict.is_failure)])


def _row(name: str, verdicts: Sequence[Verdict]) -> str:
    count = collections.Counter(verdict.outcome for verdict in verdicts)
    seconds = [verdict.seconds for verdict in verdicts]
    counts = (count[outcome] for outcome in ('worked', 'refused', *FAULTS))
    mean, longest = f'{sum(seconds) / len(verdicts):.2f} s', f'{max(seconds):.1f} s'
    most = f'{max(verdict.peak_bytes for verdict in verdicts) >> 20} MiB'
    return _FORM.format(name, len(verdicts), *counts, mean, longest, most)
