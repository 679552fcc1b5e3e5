"""Times functions against each other on a machine that does other work too."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def time_in_turn(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Runs functions in turn, so that other work of the machine slows all of them alike.

    Args:
      runs: Name → the function to time; each runs once untimed before.
      rounds: The number of timed runs of each.

    Returns:
      Name of each function → the median of its runs in seconds.
    """
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
