"""Sets of many texts in little memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

_BYTES = 16  # of which two of ten million texts have the same once in 10^24 runs
_KIND = np.dtype(f'S{_BYTES}')


def digest(texts: Iterable[str]) -> np.ndarray:
    """The digest of each text, as `Digests` takes them."""
    digests = [hashlib.blake2b(text.encode(), digest_size=_BYTES).digest() for text in texts]
    return np.array(digests, _KIND)


class Digests:
    """A set of digests, 16 bytes each: sorted runs, of which two of like size become one."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, digests: np.ndarray) -> np.ndarray:
        """Adds digests; returns for each whether it is new, also among those before it."""
        is_new = np.zeros(len(digests), bool)
        is_new[np.unique(digests, return_index=True)[1]] = True
        is_new &= ~self.holds(digests)
        run = np.sort(digests[is_new])
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind='stable')
        if len(run):
            self._runs.append(run)
        return is_new

    def holds(self, digests: np.ndarray) -> np.ndarray:
        """Returns for each digest whether it is in the set."""
        found = np.zeros(len(digests), bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, digests), len(run) - 1)
            found |= run[places] == digests
        return found
