"""Where the steps of a training get their batches: from a pipeline, or from the device itself."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from mattingjax.data.pipeline import PIXELS, Batch, Pipeline
from mattingjax.data.placement import Placement
from mattingjax.data.prefetch import DevicePrefetch


@dataclasses.dataclass(frozen=True, eq=False)
class Round:
    """What one or more steps, which are computed by one call, get their batches from.

    Attributes:
      count: The number of steps.
      arrays: The arrays on the device, a tree.
      skipped: The number of records of each step that could not be read and were replaced, in
        this process's share of the batch.
      about: What else is known of the batches.
    """

    count: int
    arrays: Any
    skipped: list[int]
    about: Mapping[str, Any]


class Batches(Protocol):
    """An endless sequence of batches, each determined by the data, the seed and its number.

    Attributes:
      most: The largest number of steps of a round.
      held: Arrays on the device that all rounds use, a tree; None if there are none.
      unreadable: The error messages of the records that could not be read so far.
    """

    most: int
    held: Any

    @property
    def unreadable(self) -> list[str]: ...

    def make_batch(self, held: Any, arrays: Any, i: int | jax.Array) -> dict[str, jax.Array]:
        """Makes the batch of a round's step `i` inside of a program: `image` [B, S, S, 3] etc."""

    def take(self, count: int) -> Round:
        """Returns the round of the next `count` steps, at most `most`."""

    def peek(self) -> Any:
        """Returns arrays of the shapes that those of a round have."""

    def read_batch(self, taken: Round, i: int) -> dict[str, Any]:
        """Returns this process's share of a round's batch `i`, with `index` and names, to look at.

        All processes call it together.
        """

    def first_images(self, batches: int) -> Iterator[np.ndarray]:
        """Yields the images of the very first batches, each float32 [B, S, S, 3] in [0, 255].

        They are whole in every process.
        """

    def get_state(self) -> dict[str, int]:
        """Returns the state after the last round that was taken, for `set_state`: JSON types."""

    def set_state(self, state: dict[str, int]) -> None:
        """Continues where others were; raises MattingError if they were of other data."""


class PipelineBatches:
    """Batches of a pipeline, which are sent to the devices before they are needed; see `Batches`.

    Args:
      create: Makes a pipeline, which begins with the first batch, from the number of this
        process's share of each batch and the number of shares.
      placement: The devices over which the examples of a batch are distributed.
    """

    most = 1
    held = None

    def __init__(self, create: Callable[[int, int], Pipeline], placement: Placement):
        self._create, self._placement = create, placement
        own = create(jax.process_index(), jax.process_count())
        self._sent = DevicePrefetch(own, placement.along(0))

    @property
    def unreadable(self) -> list[str]:
        return self._sent.unreadable

    def make_batch(self, held: Any, arrays: Any, i: int | jax.Array) -> dict[str, jax.Array]:
        del held, i
        return arrays

    def take(self, count: int) -> Round:
        assert count == 1
        batch = next(self._sent)
        return Round(1, _pixels(batch), [batch['skipped']], batch)

    def peek(self) -> Any:
        return _pixels(self._sent.peek())

    def fill(self) -> None:
        """Makes the first batches; raises what reading them raises."""
        self._sent.fill()

    def read_batch(self, taken: Round, i: int) -> dict[str, Any]:
        del i
        own = {name: self._placement.own_part(array) for name, array in taken.arrays.items()}
        return {**taken.about, **own}

    def first_images(self, batches: int) -> Iterator[np.ndarray]:
        for batch in itertools.islice(self._create(0, 1), batches):
            yield batch['image'].astype(np.float32)

    def get_state(self) -> dict[str, int]:
        return self._sent.get_state()

    def set_state(self, state: dict[str, int]) -> None:
        self._sent.set_state(state)


def _pixels(batch: Batch) -> dict[str, Any]:
    """Picks the arrays of a batch that a step takes."""
    return {name: batch[name] for name in PIXELS if name in batch}
