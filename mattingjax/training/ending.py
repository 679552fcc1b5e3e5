"""What is said when a training has ended."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

from mattingjax.checkpoints import load_config
from mattingjax.training.workdir import BEST, LAST


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
      step: Steps done, and saved.
      is_finished: Whether these are all.
      stopped_by: The signal that ended it before; None if it is finished.
    """

    step: int
    is_finished: bool
    stopped_by: int | None


def describe_end(workdir: Path, outcome: Outcome) -> str:
    """Lines for people: how good the network is, where it lies, and what to go on with."""
    if not outcome.is_finished:
        saved = f'saved after step {outcome.step}' if outcome.step else 'nothing to save yet'
        return f'{workdir}: stopped; {saved}; the same command goes on'
    lines = [f'{workdir}: finished after {outcome.step} step{"s" * (outcome.step != 1)}']
    checkpoint = workdir / BEST
    if checkpoint.is_dir():
        trained = load_config(checkpoint).provenance['trained']
        figures = ', '.join(f'{name} {value:.4g}' for name, value in trained['validation'].items())
        lines.append(f'best: {checkpoint}, of step {trained["step"]}: {figures}')
    else:  # the photos of the validation have no alphas
        checkpoint = workdir / LAST
        lines.append(f'last: {checkpoint}, of step {outcome.step}; nothing says which was best')
    name, target = shlex.quote(str(checkpoint)), shlex.quote(str(workdir / 'export'))
    lines += [
        f'next: python scripts/evaluate.py --checkpoint {name} --images DIR --alphas DIR',
        f'      python -m exporters.export --checkpoint {name} --output {target}',
    ]
    return '\n'.join(lines)
