"""Runs one case in a process of its own, and judges how it went."""

import concurrent.futures
import contextlib
import functools
import importlib.util
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mattingjax.errors import MAX_LINE, MattingError, one_line
from tests import forked
from tests.fuzz import traps
from tests.fuzz.observer import Observer
from tests.fuzz.verdicts import Verdict

MAX_SECONDS, MAX_BYTES = 10.0, 2 << 30  # of a processor's time, and of memory
INPUT, _SCRATCH = (
    'input',
    'scratch',
)  # folders of a case: what is read, and that for what is temporary
_GONE = 'the process and the server that it was forked from have ended without a word'
_Ended = tuple[str, str, list[str], list[str]]  # outcome, detail, and what the observer has seen


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
      programs: The first words of the only command that it may start.
    """

    make: Callable[[np.random.Generator, Path, Path], None]
    use: Callable[[Path], None]
    samples: Callable[[Path], None] | None = None
    packages: tuple[str, ...] = ()
    max_message: int = MAX_LINE
    every: int = 1
    programs: tuple[str, ...] = ()


class Bench(NamedTuple):
    """Where and how cases are run.

    Attributes:
      kinds: Name → kind; their packages are installed.
      place: A folder for the cases, and for the samples.
      max_seconds, max_bytes: The most that a case may take, of a processor's time and of memory.
      keep: A folder that gets the inputs that failed, as KIND/NAME, if any.
    """

    kinds: dict[str, Kind]
    place: Path
    max_seconds: float = MAX_SECONDS
    max_bytes: int = MAX_BYTES
    keep: Path | None = None

    def samples(self, name: str) -> Path:
        return self.place / 'samples' / name

    def preload(self) -> tuple[str, ...]:
        packages = {package for kind in self.kinds.values() for package in kind.packages}
        return (*forked.PRELOADED, *sorted(packages), 'tests.fuzz.kinds')


def usable(kinds: dict[str, Kind]) -> dict[str, Kind]:
    """Those whose packages are installed."""
    return {
        name: kind
        for name, kind in kinds.items()
        if all(importlib.util.find_spec(package) for package in kind.packages)
    }


@contextlib.contextmanager
def open_bench(kinds: dict[str, Kind], **settings) -> Iterator[Bench]:
    """A bench in a folder that exists until the block ends; samples are not written."""
    with tempfile.TemporaryDirectory(prefix='fuzz.') as place:
        yield Bench(kinds, Path(place), **settings)


def run_cases(
    kinds: dict[str, Kind], seeds: Sequence[int], *, processes: int = 1, **settings
) -> Iterator[Verdict]:
    """Runs one case for each seed, of the kinds in turn.

    Args:
      kinds: Name → kind; their packages are installed.
      seeds: Of the cases.
      processes: How many cases run at once.
      settings: Further fields of `Bench`.
    """
    plan = list(zip(_take_turns(kinds), seeds, strict=False))
    with open_bench(kinds, **settings) as bench:
        for name in dict.fromkeys(name for name, _ in plan):
            bench.samples(name).mkdir(parents=True)
            if write := kinds[name].samples:
                write(bench.samples(name))
        run = functools.partial(_draw_case, bench)
        if processes == 1:
            yield from map(run, plan)
            return
        context = multiprocessing.get_context('spawn')
        with concurrent.futures.ProcessPoolExecutor(processes, context) as pool:
            yield from pool.map(run, plan)


def _take_turns(kinds: dict[str, Kind]) -> Iterator[str]:
    """Names of kinds, without end."""
    for turn in itertools.count():
        yield from (name for name, kind in kinds.items() if turn % kind.every == 0)


def _draw_case(bench: Bench, item: tuple[str, int]) -> Verdict:
    name, seed = item

    def write_input(folder: Path) -> None:
        rng = np.random.default_rng([seed, *name.encode()])
        bench.kinds[name].make(rng, folder, bench.samples(name))

    return run_case(bench, name, str(seed), write_input)


def run_case(bench: Bench, name: str, label: str, write_input: Callable[[Path], object]) -> Verdict:
    """Runs one case.

    Args:
      bench: Where and how.
      name: Its kind.
      label: What the verdict calls it.
      write_input: Writes the input into a folder; called again if the case has to be run again.
    """
    _start_server(bench.preload())
    verdict = _run_once(bench, name, label, write_input)
    if verdict.detail == _GONE:  # somebody has ended the server, which a case would do again
        verdict = _run_once(bench, name, label, write_input)
    return verdict


@functools.cache
def _start_server(preload: tuple[str, ...]) -> None:
    """Has everything imported that cases are forked with, which is none of a case's time."""
    forked.run_forked(os.getpid, preload=preload, timeout=forked.LONG_SECONDS)


def _run_once(
    bench: Bench, name: str, label: str, write_input: Callable[[Path], object]
) -> Verdict:
    case = bench.place / f'case.{os.getpid()}'
    folder = case / INPUT
    for part in (folder, case / _SCRATCH):
        part.mkdir(parents=True)
    trap = traps.Trap(case)
    write_input(folder)
    verdict = _judge(bench, name, label, case, trap)
    if bench.keep is not None and verdict.is_failure:
        shutil.copytree(folder, bench.keep / name / label, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(case)
    return verdict


def _judge(bench: Bench, name: str, label: str, case: Path, trap: traps.Trap) -> Verdict:
    kind, before = bench.kinds[name], _list_files(case)
    ended = forked.run_forked(
        attempt,
        kind.use,
        case / INPUT,
        kind.programs,
        preload=bench.preload(),
        timeout=bench.max_seconds,
        max_bytes=bench.max_bytes,
    )
    result: _Ended = ended.result or ('tracebacks', _describe_end(ended.exit_code), [], [])
    outcome, detail, outside, executed = result
    # How long the folder's name is, is not the message's doing.
    length = len(detail.replace(f'{case / INPUT}/', ''))
    if outcome == 'refused' and not (length <= kind.max_message and detail.isprintable()):
        outcome = 'malformed'
        detail = f'a message of {len(detail)} characters: {one_line(detail)}'
    if ended.stopped:
        outcome, detail = 'memory' if 'MiB' in ended.stopped else 'hangs', ended.stopped
    if changed := sorted(_list_files(case) ^ before):
        outside = [*outside, *changed]
    if touched := trap.touched():
        outside = [*outside, *(f'{traps.FOLDER}/{name}' for name in touched)]
    if traps.was_called():
        executed = [*executed, f'a connection to {traps.address()}']
    if outside:
        outcome, detail = 'outside', f'written, removed or read: {", ".join(outside)}'
    if executed:
        outcome, detail = 'executed', ', '.join(executed)
    return Verdict(name, label, outcome, one_line(detail), ended.seconds, ended.peak_bytes)


def _list_files(case: Path) -> set[str]:
    return {str(path.relative_to(case)) for path in case.rglob('*')}


def _describe_end(exit_code: int) -> str:
    if exit_code < 0:
        return f'crashed by {signal.Signals(-exit_code).name}'
    return _GONE if exit_code == 255 else f'exit status {exit_code} without a word'


def attempt(use: Callable[[Path], None], folder: Path, programs: tuple[str, ...]) -> _Ended:
    """In the case's own process: uses the input; returns how that ended, and what else it did."""
    os.chdir(folder.parent)  # where a relative path would be written
    os.environ['TMPDIR'] = tempfile.tempdir = str(folder.parent / _SCRATCH)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    if jax := sys.modules.get('jax'):  # whose programs the tests keep elsewhere
        jax.config.update('jax_enable_compilation_cache', False)
    observer = Observer(folder.parent, programs)
    observer.start()
    outcome, detail = _use(use, folder)
    return outcome, detail, observer.outside[:5], observer.executed[:5]


def _use(use: Callable[[Path], None], folder: Path) -> tuple[str, str]:
    try:
        use(folder)
    except (MattingError, ImportError) as error:
        return 'refused', str(error)
    except OSError as error:
        return 'refused', f'{error.filename}: {error.strerror}'
    except MalformedError as error:
        return 'malformed', f'malformed result: {error}'
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{Path(last.filename).name}:{last.lineno}'
        return 'tracebacks', one_line(f'{type(error).__name__} at {where}: {error}')
    return 'worked', ''
