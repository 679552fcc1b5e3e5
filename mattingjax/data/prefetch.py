"""Batches on their way to the accelerator."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import jax

from mattingjax.data.pipeline import PIXELS, Batch, Pipeline


class DevicePrefetch(Iterator[Batch]):
    """Sends the next batches to the accelerator while it works on this one.

    Args:
      pipeline: Where they come from.
      sharding: How the pixels are laid out over devices, which share out a batch evenly; None for
        the default device. On several hosts a batch is made of the part that each one has.
      size: How many batches are on their way or there.
    """

    def __init__(
        self, pipeline: Pipeline, sharding: jax.sharding.Sharding | None = None, size: int = 2
    ):
        self._pipeline, self._sharding, self._size = pipeline, sharding, size
        self._sent: collections.deque[tuple[Batch, dict[str, int]]] = collections.deque()
        self._state = pipeline.get_state()
        self.steps = pipeline.steps

    def __next__(self) -> Batch:
        """The next batch; `image`, `alpha` and `trimap` are arrays of JAX."""
        self.fill()
        if not self._sent:
            raise StopIteration
        batch, self._state = self._sent.popleft()
        return batch

    def peek(self) -> Batch:
        """The batch that `__next__` will give; StopIteration if there is none."""
        self.fill()
        if not self._sent:
            raise StopIteration
        return self._sent[0][0]

    def fill(self) -> None:
        """Sends the next batches; `__next__` does so itself. Raises what reading them raises."""
        while len(self._sent) < self._size:
            try:
                batch = next(self._pipeline)
            except StopIteration:
                break
            self._sent.append((self._send(batch), self._pipeline.get_state()))

    @property
    def unreadable(self) -> list[str]:
        """As the pipeline's, batches that are on their way included."""
        return self._pipeline.unreadable

    def _send(self, batch: Batch) -> Batch:
        pixels = {name: batch[name] for name in PIXELS if name in batch}
        if self._sharding is None:
            return batch | jax.device_put(pixels)
        return batch | {
            name: jax.make_array_from_process_local_data(self._sharding, array)
            for name, array in pixels.items()
        }

    def get_state(self) -> dict[str, int]:
        """As the pipeline's, after the last batch that was given out, not sent."""
        return self._state

    def set_state(self, state: dict[str, int]) -> None:
        """As the pipeline's."""
        self._pipeline.set_state(state)
        self._sent.clear()
        self._state = self._pipeline.get_state()

    def close(self) -> None:
        """As the pipeline's; batches on their way are dropped."""
        self.set_state(self._state)
