"""The outcome of a run."""

from __future__ import annotations

import dataclasses

_LONG_ENOUGH = 5.0  # seconds of work, before which a rate says nothing


@dataclasses.dataclass
class BulkSummary:
    """The outcome of matting many photos.

    Attributes:
      matted: The number of photos that got a matte.
      failed: Of photos that could not be matted; the table says why.
      existing: Of photos that were matted already.
      failed_before: Of photos that an earlier run could not matte, and that were left alone.
      others: Of files of no known picture format.
      workers: How many workers there were, each with a core; 0 if there was nothing to do.
      seconds: Duration of the matting in seconds, from the start of Ray to the last photo.
      starting: Seconds of these before the first photos were done, as Ray and workers started.
      first: How many photos those were.
      stopped_by: The number of the signal that ended it early; None if none did.
    """

    matted: int = 0
    failed: int = 0
    existing: int = 0
    failed_before: int = 0
    others: int = 0
    workers: int = 0
    seconds: float = 0.0
    starting: float = 0.0
    first: int = 0
    stopped_by: int | None = None

    def count(self, matted: int, failed: int, seconds: float) -> None:
        """Counts photos that are done after so many seconds."""
        if not self.starting:
            self.starting, self.first = seconds, matted + failed
        self.matted, self.failed = self.matted + matted, self.failed + failed
        self.seconds = seconds

    @property
    def rate(self) -> float:
        """Photos that were matted per second."""
        return self.matted / self.seconds if self.seconds else 0.0

    @property
    def steady_rate(self) -> float:
        """Photos that were done per second after the first ones, once all workers had started."""
        rest, seconds = self.matted + self.failed - self.first, self.seconds - self.starting
        return rest / seconds if seconds > 0 else 0.0

    @property
    def photos_per_core_hour(self) -> float:
        """Photos that a core does in an hour, once all workers have started."""
        return 3600 * (self.steady_rate or self.rate) / max(1, self.workers)

    def describe(self) -> str:
        """The summary as a part of a line."""
        line = f'{self.matted} matted, {self.failed} failed, {self.existing} there already'
        if self.failed_before:
            line += f', {self.failed_before} failed before (--retry_failed)'
        if self.others:
            line += f', {self.others} of no known format'
        if not self.matted:
            return line
        line += (
            f' in {self.seconds:.1f} s, of which {self.starting:.1f} s to the first, '
            f'{self.rate:.1f} photos/s'
        )
        if self.seconds - self.starting < _LONG_ENOUGH:
            return line
        return f'{line}; then {self.photos_per_core_hour:,.0f} photos per core-hour'
