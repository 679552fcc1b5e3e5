"""Runs one case in a process of its own, and judges how it went."""

import collections
import importlib.util
import itertools
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mattingjax.errors import MAX_LINE, MattingError, one_line
from tests import forked


class MalformedError(Exception):
    """A result that is not of the form it should have."""


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
      make: Writes a damaged or hostile one into a folder. Called with a generator of random
        numbers, the folder and that of the samples.
      use: Uses it as a script would; raises MalformedError for a result of the wrong form.
      samples: Writes whole ones, which `make` damages, into a folder; called once.
      packages: What must be installed, and is imported before the cases are forked.
      max_message: The most characters of an error.
      every: It comes in every so many-th round alone, if it is slow.
    """

    make: Callable[[np.random.Generator, Path, Path], None]
    use: Callable[[Path], None]
    samples: Callable[[Path], None] | None = None
    packages: tuple[str, ...] = ()
    max_message: int = MAX_LINE
    every: int = 1


class Verdict(NamedTuple):
    """What became of a case.

    Attributes:
      kind: Its kind.
      seed: What draws it again: `python -m tests.fuzz --kinds KIND --seed SEED --cases 1`.
      outcome: 'worked' or 'refused', which are allowed, or 'failed'.
      detail: The error's message, or what went wrong.
      seconds, peak_bytes: What it took, of a processor and of memory.
    """

    kind: str
    seed: int
    outcome: str
    detail: str
    seconds: float
    peak_bytes: int

    def __str__(self) -> str:
        return f'{self.kind} {self.seed}: {self.outcome}: {self.detail}'


def usable(kinds: dict[str, Kind]) -> dict[str, Kind]:
    """Those whose packages are installed."""
    return {
        name: kind
        for name, kind in kinds.items()
        if all(importlib.util.find_spec(package) for package in kind.packages)
    }


def run_cases(
    kinds: dict[str, Kind],
    seeds: Sequence[int],
    *,
    max_seconds: float,
    max_bytes: int = forked.MAX_BYTES,
    keep: Path | None = None,
) -> Iterator[Verdict]:
    """Runs one case for each seed, of the kinds in turn.

    Args:
      kinds: Name → kind; their packages are installed.
      seeds: Of the cases.
      max_seconds, max_bytes: The most that a case may take, of a processor's time and of memory.
      keep: A folder that gets the inputs that failed, if any.
    """
    packages = {package for kind in kinds.values() for package in kind.packages}
    preload = (*forked.PRELOADED, *sorted(packages), 'tests.fuzz.kinds')
    limits = {'timeout': max_seconds, 'max_bytes': max_bytes}
    with tempfile.TemporaryDirectory(prefix='fuzz.') as place:
        samples = Path(place, 'samples')
        for name, kind in kinds.items():
            (samples / name).mkdir(parents=True)
            if kind.samples:
                kind.samples(samples / name)
        for seed, name in zip(seeds, _take_turns(kinds), strict=False):
            case = Path(place, 'case')
            verdict = _run_case(name, kinds[name], seed, case, samples / name, limits, preload)
            if keep is not None and verdict.outcome == 'failed':
                shutil.copytree(case, keep / f'{name}_{seed}', symlinks=True)
            shutil.rmtree(case)
            yield verdict


def _take_turns(kinds: dict[str, Kind]) -> Iterator[str]:
    """Names of kinds, without end."""
    for turn in itertools.count():
        yield from (name for name, kind in kinds.items() if turn % kind.every == 0)


def _run_case(
    name: str,
    kind: Kind,
    seed: int,
    case: Path,
    samples: Path,
    limits: dict[str, Any],
    preload: tuple[str, ...],
) -> Verdict:
    folder = case / 'input'
    folder.mkdir(parents=True)
    kind.make(np.random.default_rng([seed, *name.encode()]), folder, samples)
    before = _list_files(case)
    outcome = forked.run_forked(attempt, kind.use, folder, preload=preload, **limits)
    how, detail = outcome.result or ('failed', _describe_end(outcome.exit_code))
    length = len(detail.replace(f'{folder}/', ''))  # how long that is, is not the message's doing
    if how == 'refused' and not (length <= kind.max_message and detail.isprintable()):
        how, detail = 'failed', f'a message of {len(detail)} characters: {one_line(detail)}'
    if outcome.stopped:
        how, detail = 'failed', outcome.stopped
    if changed := sorted(_list_files(case) ^ before):
        how, detail = 'failed', f'files were written or removed: {", ".join(changed)}'
    return Verdict(name, seed, how, detail, outcome.seconds, outcome.peak_bytes)


def _list_files(case: Path) -> set[str]:
    return {str(path.relative_to(case)) for path in case.rglob('*')}


def _describe_end(exit_code: int) -> str:
    if exit_code < 0:
        return f'crashed by {signal.Signals(-exit_code).name}'
    return f'exit status {exit_code} without a word'


def attempt(use: Callable[[Path], None], folder: Path) -> tuple[str, str]:
    """In the case's own process: uses the input; returns the outcome and its detail."""
    os.chdir(folder.parent)  # where a relative path would be written
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        use(folder)
    except (MattingError, ImportError) as error:
        return 'refused', str(error)
    except OSError as error:
        return 'refused', f'{error.filename}: {error.strerror}'
    except MalformedError as error:
        return 'failed', f'malformed result: {error}'
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{Path(last.filename).name}:{last.lineno}'
        return 'failed', one_line(f'{type(error).__name__} at {where}: {error}')
    return 'worked', ''


def summarise(verdicts: Sequence[Verdict]) -> str:
    """Counts and the largest figures by kind, then every failure."""
    names = ('kind', 'cases', 'worked', 'refused', 'failed', 'mean', 'longest', 'most memory')
    form = '{:12} {:>6} {:>7} {:>8} {:>7} {:>8} {:>8} {:>12}'
    lines = [form.format(*names)]
    for kind in dict.fromkeys(verdict.kind for verdict in verdicts):
        own = [verdict for verdict in verdicts if verdict.kind == kind]
        count = collections.Counter(verdict.outcome for verdict in own)
        seconds = [verdict.seconds for verdict in own]
        megabytes = max(verdict.peak_bytes for verdict in own) >> 20
        counts = count['worked'], count['refused'], count['failed']
        mean, longest = f'{sum(seconds) / len(own):.2f} s', f'{max(seconds):.1f} s'
        lines.append(form.format(kind, len(own), *counts, mean, longest, f'{megabytes} MiB'))
    failures = [str(verdict) for verdict in verdicts if verdict.outcome == 'failed']
    return '\n'.join([*lines, *failures])
