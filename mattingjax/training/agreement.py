"""What the processes of a training tell each other, so that all of them do the same."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from mattingjax.data.placement import Placement
from mattingjax.process import hosts
from mattingjax.process.stopping import Stop


class Agreement:
    """Whether the training is to stop, and how many records were replaced, over all processes.

    A signal may reach one process alone, and at another step than the next; all of them have to
    stop after the same one. Their numbers are exchanged by the devices, while they compute.

    Args:
      stop: Says whether this process was asked to end.
      placement: The devices.
      most: The largest number of steps of a round.
    """

    def __init__(self, stop: Stop, placement: Placement, most: int) -> None:
        self._stop, self._placement, self._most = stop, placement, most
        self._is_alone = hosts.count() == 1
        self._heard = 0
        self._exchange = jax.jit(lambda rows: rows, out_shardings=placement.everywhere)

    @property
    def requested(self) -> int | None:
        """The number of the signal that asked for the stop, once all processes know it."""
        return self._stop.requested if self._is_alone else self._heard or None

    def tell(self, skipped: list[int]) -> Any:
        """Tells the others what this process knows; returns what `hear` takes.

        Args:
          skipped: The records of each step of a round that this process had to replace.
        """
        rows = np.zeros((jax.local_device_count(), 1 + self._most), np.int32)
        rows[0, 0] = self._stop.requested or 0
        rows[0, 1 : 1 + len(skipped)] = skipped
        if self._is_alone:
            return rows
        sharding = self._placement.along(0)
        return self._exchange(jax.make_array_from_process_local_data(sharding, rows))

    def hear(self, told: Any) -> list[int]:
        """Waits for what all processes told; returns the records replaced in each step."""
        rows = np.asarray(told)
        self._heard = self._heard or int(rows[:, 0].max())
        return rows[:, 1:].sum(0).tolist()

    def ask(self) -> int | None:
        """Waits for all processes, and returns `requested`."""
        if not self._is_alone:
            self.hear(self.tell([]))
        return self.requested
