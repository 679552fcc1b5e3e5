"""Times functions against each other, and the stages of work that several threads do."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np


class Stages:
    """Adds up the time that stages take; several threads may be in the same one.

    Args:
      *names: The stages.

    Attributes:
      seconds: Name of each stage → the seconds that were spent in it, by all threads together.
    """

    def __init__(self, *names: str):
        self.seconds = dict.fromkeys(names, 0.0)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f'Stages({self.seconds})'

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Counts the block for a stage, unless it raises."""
        start = time.perf_counter()
        yield
        with self._lock:
            self.seconds[name] += time.perf_counter() - start

    def describe(self) -> str:
        """The share of each stage: 'decode 20%, network 70%, finish 10%'; '' if none took time."""
        total = sum(self.seconds.values())
        shares = (f'{name} {spent / total:.0%}' for name, spent in self.seconds.items() if total)
        return ', '.join(shares)


def time_in_turn(
    runs: Mapping[str, Callable[[], Any]], rounds: int, *, warm: bool = False
) -> dict[str, float]:
    """Runs functions in turn, so that other work of the machine slows all of them alike.

    Args:
      runs: Name → the function to time; each runs once untimed before.
      rounds: The number of timed runs of each.
      warm: Whether each timed run follows an untimed one of the same function, as
        `list_times_in_turn` explains.

    Returns:
      Name of each function → the median of its runs in seconds.
    """
    times = list_times_in_turn(runs, rounds, warm=warm)
    return {name: statistics.median(values) for name, values in times.items()}


def list_times_in_turn(
    runs: Mapping[str, Callable[[], Any]], rounds: int, *, warm: bool = False
) -> dict[str, list[float]]:
    """Runs functions in turn, as `time_in_turn` does, and returns each time.

    Args:
      runs: Name → the function to time; each runs once untimed before.
      rounds: The number of timed runs of each.
      warm: Whether each timed run follows an untimed one of the same function. It refills the
        caches of the processor, and threads of another runtime that wait for work by spinning fall
        asleep meanwhile.

    Returns:
      Name of each function → the seconds of its runs, in their order.
    """
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            if warm:
                run()
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def summarise_times(times: Mapping[Any, Sequence[float]]) -> dict[Any, dict[str, Any]]:
    """The medians of times, beside the first one's.

    Args:
      times: Name of each → the seconds of its runs, as `list_times_in_turn` returns them.

    Returns:
      Name of each → `seconds`, the median; `quartiles`, two, in seconds; and `time_ratio`, the
      median divided by that of the first; JSON types.
    """
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    first = next(iter(medians.values()))
    return {
        name: {
            'seconds': medians[name],
            'quartiles': [float(edge) for edge in np.quantile(seconds, (0.25, 0.75))],
            'time_ratio': medians[name] / first,
        }
        for name, seconds in times.items()
    }
