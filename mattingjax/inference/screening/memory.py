"""How much memory a network would take at once, computed from the sizes of its tensors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mattingjax.errors import ArtefactError

MAX_MEMORY = 2 * 2**30
_MAX_LOADING = MAX_MEMORY + 2**30
_LOCK = threading.Lock()  # guards the process's limit and the next two
_RESTORE = contextlib.ExitStack()  # takes the limit back
_readers = 0  # how many threads are within `limited_memory`


class Step(NamedTuple):
    """One node of a network.

    Attributes:
      name: What messages call the node.
      inputs: Names of the tensors that it reads.
      outputs: Name of each tensor that it makes → its bytes; None if they are not known beforehand.
      work: Its multiply-adds, at most.
    """

    name: str
    inputs: Sequence[str]
    outputs: dict[str, int | None]
    work: int = 0


def measure_peak(steps: Iterable[Step], source: str) -> int:
    """The most bytes that are needed at once.

    A tensor lives from the step that makes it to the last one that reads it. What does not depend
    on the network's input stays for good: runtimes compute it when they load the network.

    Args:
      steps: The nodes, in an order in which they can be run.
      source: Name of the network's input among the tensors.

    Raises:
      ArtefactError: The size of a tensor is not known, or alone over `MAX_MEMORY`; the message
        begins with the step.
    """
    steps = list(steps)
    last_reader = {name: i for i, step in enumerate(steps) for name in step.inputs}
    living: dict[str, int] = {}
    varying = {source}
    peak = now = 0
    for i, step in enumerate(steps):
        for name, size in step.outputs.items():
            if size is None:
                raise ArtefactError(
                    f'{step.name}: expected an output whose size follows from the '
                    "input's, found one that only running it would tell"
                )
            if size > MAX_MEMORY:
                raise ArtefactError(f'{step.name}: would need {in_gigabytes(size)} for its output')
            if varying.intersection((*step.inputs, name)):
                varying.add(name)
            living[name] = size
            now += size
        peak = max(peak, now)
        for name in {*step.inputs, *step.outputs}:
            if name in living and name in varying and last_reader.get(name, -1) <= i:
                now -= living.pop(name)
    return peak


def in_gigabytes(size: int) -> str:
    """A number of bytes in gigabytes, for a message."""
    # A hostile file's numbers have any length.
    return f'{min(size, 2**60) / 2**30:.3g} GB of memory'


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Lets the whole process take `_MAX_LOADING` more while a runtime reads a network.

    Runtimes fold constants as they read, before anything tells the sizes of what they fold: beyond
    the limit their allocation fails, which they report. Other threads are under the limit too: of
    several that read at once the first sets it and the last restores what was before. Systems
    other than Linux get no limit.
    """
    global _readers
    with _LOCK:
        if not _readers:
            _lower_limit()
        _readers += 1
    try:
        yield
    finally:
        with _LOCK:
            _readers -= 1
            if not _readers:
                _RESTORE.close()


def _lower_limit() -> None:
    try:
        import resource

        status = Path('/proc/self/status').read_text()
        taken = int(status.split('VmData:')[1].split()[0]) * 1024
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_least(taken + _MAX_LOADING, soft, hard), hard))
    except (ImportError, OSError, IndexError, ValueError):  # not Linux
        return
    _RESTORE.callback(resource.setrlimit, resource.RLIMIT_DATA, (soft, hard))


def _least(*limits: int) -> int:
    return min(limit for limit in limits if limit >= 0)  # below 0: none
