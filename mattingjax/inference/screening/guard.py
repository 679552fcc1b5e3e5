"""How large an input a network may get: its memory and arithmetic are computed beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening.memory import MAX_MEMORY, Step, in_gigabytes, measure_peak

# Of a network's input, all images together: the networks here need more than 2 GB for as many.
MAX_PIXELS = 2**23
# Multiply-adds for each pixel of the input, or of an input of 512 pixels a side if it is smaller.
# MODNet needs 59,000.
_MAX_WORK = 200_000
_NOMINAL_SIDE = 512  # pixels, where any size is allowed: a multiple of every network's stride


class Guard(Protocol):
    """What is asked before a network runs."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ArtefactError unless an input of this shape can be run."""


class PixelGuard:
    """Refuses inputs of more than `MAX_PIXELS`: enough for a network that is known.

    Args:
      path: The network's file, for messages.
    """

    def __init__(self, path: Path | str):
        self._path = path

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ArtefactError for an input [N, H, W, 3] of too many pixels."""
        if (pixels := math.prod(shape[:-1])) > MAX_PIXELS:
            raise ArtefactError(
                f'{self._path}: with an input of {list(shape)} it would get {pixels} pixels, '
                f'expected at most {MAX_PIXELS}'
            )


class InputGuard:
    """Refuses inputs for which a network would need more than `MAX_MEMORY`, or compute for minutes.

    Args:
      path: The network's file, for messages.
      shape: Shape of its input; None for a side that may have any size.
      list_steps: Function from an input's shape to the network's nodes; it may raise ArtefactError,
        without the file's name.
      source: Name of the network's input among the tensors.

    Raises:
      ArtefactError: It needs too much already at the size that it takes, or at 512 pixels a side.
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

        A shape none of whose sides is longer than those of one that passed is taken to pass too.
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
                f'{where} it would need {in_gigabytes(peak)}, expected at most '
                f'{MAX_MEMORY / 2**30:g} GB'
            )
        work = sum(step.work for step in steps)
        limit = _MAX_WORK * max(math.prod(shape) // 3, _NOMINAL_SIDE**2)
        if work > limit:
            most = max(steps, key=lambda step: step.work)
            raise ArtefactError(
                f'{where} it would need {min(work, 10**18) / 1e9:.3g} G multiply-adds, most of '
                f'them in {most.name}, expected at most {limit / 1e9:.3g} G'
            )
        self._passed = [passed for passed in self._passed if not _fits(passed, shape)] + [shape]


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    return len(shape) == len(into) and all(a <= b for a, b in zip(shape, into, strict=True))
