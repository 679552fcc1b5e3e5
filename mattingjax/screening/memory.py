"""How much memory and work a network would take, told from the sizes of its tensors."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mattingjax.errors import ArtefactError
from mattingjax.importers.protobuf import DataPath, check_structure

MAX_MEMORY = 2 * 2**30
# Of a network's input, all images together: what the networks here need 2 GB for, and more.
MAX_PIXELS = 2**23
# Multiply-adds for each pixel of the input, or of one of 512 pixels a side if it is smaller. MODNet
# needs 57,000.
_MAX_WORK = 200_000
_MAX_FILE = 2**29  # bytes; MODNet has 26 MB
_MAX_NODES = 2**14  # the original MMNet's frozen graph has 1,580
_MAX_LOADING = MAX_MEMORY + 2**30
_NOMINAL_SIDE = 512  # pixels, where any size goes: a multiple of every network's stride
_LOCK = threading.Lock()  # over the process's limit, and these two
_RESTORE = contextlib.ExitStack()  # takes the limit back
_readers = 0  # that are within `limited_memory`


class Step(NamedTuple):
    """One node of a network.

    Attributes:
      name: What it is called in messages.
      inputs: The tensors that it reads.
      outputs: The tensors that it makes → bytes; None where that is not known beforehand.
      work: Multiply-adds, at most.
    """

    name: str
    inputs: Sequence[str]
    outputs: dict[str, int | None]
    work: int = 0


def read_structured(path: Path, data: DataPath, reader: str) -> bytes:
    """The content of a protocol buffer that is known not to unfold into a large memory.

    Args:
      path: The file.
      data: Where its weights are, see `importers.protobuf.check_structure`.
      reader: Whose kind of file it is, for messages.

    Raises:
      ArtefactError: It is damaged, or would; or it is too large to be a matting network.
    """
    check_file_size(path)
    content = path.read_bytes()
    try:
        check_structure(content, data)
    except (ValueError, IndexError) as error:
        raise ArtefactError(f'{path}: {reader} cannot read it ({error})') from error
    return content


def check_count(path: Path, nodes: int) -> None:
    """Raises ArtefactError where nodes are so many that looking at each takes minutes."""
    if nodes > _MAX_NODES:
        raise ArtefactError(f'{path}: expected at most {_MAX_NODES} nodes, found {nodes}')


def check_file_size(path: Path) -> None:
    """Raises ArtefactError where a file is too large to be a matting network."""
    if (size := path.stat().st_size) > _MAX_FILE:
        raise ArtefactError(
            f'{path}: expected at most {_MAX_FILE // 2**20} MB, found {size // 2**20} MB'
        )


def measure_peak(steps: Iterable[Step], source: str) -> int:
    """The most bytes that are needed at once.

    A tensor lives from the step that makes it to the last one that reads it. What does not depend
    on the network's input stays for good: runtimes compute it when they load the network.

    Args:
      steps: In an order in which they can be run.
      source: The network's input among the tensors.

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
                raise ArtefactError(f'{step.name}: would need {_in_gigabytes(size)} for its output')
            if varying.intersection((*step.inputs, name)):
                varying.add(name)
            living[name] = size
            now += size
        peak = max(peak, now)
        for name in {*step.inputs, *step.outputs}:
            if name in living and name in varying and last_reader.get(name, -1) <= i:
                now -= living.pop(name)
    return peak


def _in_gigabytes(size: int) -> str:
    # A hostile file's numbers have any length.
    return f'{min(size, 2**60) / 2**30:.3g} GB of memory'


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Lets the whole process take `_MAX_LOADING` more while a runtime reads a network.

    Runtimes fold constants as they read, before anything tells the sizes of what they fold: beyond
    the limit their allocation fails, which they report. Other threads are under the limit too: of
    several that read at once the first sets it and the last restores what was before. Without a
    limit where the system knows none.
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


class MemoryGuard:
    """Refuses inputs for which a network would need more than `MAX_MEMORY`, or compute for minutes.

    Args:
      path: The network's file, for messages.
      shape: Of its input; None where any size goes.
      list_steps: Input shape → its nodes; may raise ArtefactError, without the file's name.
      source: The network's input among the tensors.

    Raises:
      ArtefactError: It would already at the size it takes, or at 512 pixels a side.
    """

    def __init__(
        self,
        path: Path | str,
        shape: Sequence[int | None],
        list_steps: Callable[[tuple[int, ...]], Iterable[Step]],
        source: str,
    ):
        self._path, self._list_steps, self._source = path, list_steps, source
        self._passed: list[tuple[int, ...]] = []
        channels_last = len(shape) == 4 and shape[1] != 3
        sides = (1, 2) if channels_last else (2, 3)
        self.check(
            tuple(
                (_NOMINAL_SIDE if i in sides and len(shape) == 4 else 1) if size is None else size
                for i, size in enumerate(shape)
            )
        )

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ArtefactError unless an input of this shape can be run.

        Shapes of which no side is longer than that of one that passed are taken to need no more.
        """
        if any(_fits(shape, passed) for passed in self._passed):
            return
        where = f'{self._path}: with an input of {list(shape)}'
        try:
            steps = list(self._list_steps(shape))
            peak = measure_peak(steps, self._source)
        except ArtefactError as error:
            raise ArtefactError(f'{self._path}: {error}') from error
        if peak > MAX_MEMORY:
            raise ArtefactError(
                f'{where} it would need {_in_gigabytes(peak)}, expected at most '
                f'{MAX_MEMORY / 2**30:g} GB'
            )
        work = sum(step.work for step in steps)
        limit = _MAX_WORK * max(math.prod(shape) // 3, _NOMINAL_SIDE**2)
        if work > limit:
            raise ArtefactError(
                f'{where} it would need {min(work, 10**18) / 1e9:.3g} G multiply-adds, expected at '
                f'most {limit / 1e9:.3g} G'
            )
        self._passed = [passed for passed in self._passed if not _fits(passed, shape)] + [shape]


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    return len(shape) == len(into) and all(a <= b for a, b in zip(shape, into, strict=True))
