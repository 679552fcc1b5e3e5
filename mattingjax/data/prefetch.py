"""Sends batches to the accelerator before they are needed."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import jax

from mattingjax.data.pipeline import PIXELS, Batch, Pipeline

_AHEAD = 2  # batches that are on the accelerator or on their way there


class DevicePrefetch(Iterator[Batch]):
    """Sends the next batches to the accelerator while it works on this one.

    Args:
      pipeline: The batches.
      sharding: How the examples of a batch are distributed over devices; None puts them all on the
        default device. With several hosts, each contributes its part of a batch.
    """

    def __init__(self, pipeline: Pipeline, sharding: jax.sharding.Sharding | None):
        self._pipeline, self._sharding = pipeline, sharding
        self._sent: collections.deque[tuple[Batch, dict[str, int]]] = collections.deque()
        self._state = pipeline.get_state()

    def __next__(self) -> Batch:
        """The next batch; `image`, `alpha` and `trimap` are arrays of JAX."""
        self.fill()
        batch, self._state = self._sent.popleft()
        return batch

    def peek(self) -> Batch:
        """The batch that `__next__` will return."""
        self.fill()
        return self._sent[0][0]

    def fill(self) -> None:
        """Sends the next batches, as `__next__` does itself; raises what reading them raises."""
        while len(self._sent) < _AHEAD:
            batch = next(self._pipeline)
            self._sent.append((self._send(batch), self._pipeline.get_state()))

    @property
    def unreadable(self) -> list[str]:
        """Error messages of the pipeline's unreadable records, also in batches not returned yet."""
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
        """The pipeline's state after the last batch that was returned here, not sent ahead."""
        return self._state

    def set_state(self, state: dict[str, int]) -> None:
        """Continues where another pipeline was; see `Pipeline.set_state`."""
        self._pipeline.set_state(state)
        self._sent.clear()
        self._state = self._pipeline.get_state()

    def close(self) -> None:
        """Ends the pipeline's workers and drops the batches that were sent ahead."""
        self.set_state(self._state)
