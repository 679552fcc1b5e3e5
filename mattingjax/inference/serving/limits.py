"""What the server takes from strangers, and how much of it at once."""

from __future__ import annotations

import dataclasses
import math

from mattingjax.errors import MattingError
from mattingjax.process.machine import count_cores

SLOWEST = 16_000  # bytes per second that bodies and answers must have on average
_MOST = 1e6  # of anything: beyond it, clocks and counters overflow


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a server.

    Attributes:
      max_megabytes: The largest body with a photo, in millions of bytes.
      max_megapixels: The largest photo, background and frame of a clip, in millions of pixels.
      timeout: Seconds after which a request for a matte ends, waiting included.
      patience: Seconds that a client may let the server wait: for headers, for the beginning of a
        body, for taking an answer.
      queue: How many photos wait for a worker; what comes then is refused.
      workers: How many photos are matted at once; by default one for each core.
      max_clip_megabytes: The largest body with a clip, in millions of bytes.
      max_clip_seconds: The longest clip, in seconds; 0 if clips are refused.
      clip_timeout: Seconds after which a request for a matted clip ends, waiting included.
    """

    max_megabytes: float = 32.0
    max_megapixels: float = 50.0
    timeout: float = 30.0
    patience: float = 10.0
    queue: int = 32
    workers: int = dataclasses.field(default_factory=count_cores)
    max_clip_megabytes: float = 100.0
    max_clip_seconds: float = 30.0
    clip_timeout: float = 300.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in _MAY_BE_ZERO else 1 if isinstance(value, int) else 1e-3
            if not (math.isfinite(value) and least <= value <= _MOST):
                raise MattingError(f'{field.name}: expected {least:g} to {_MOST:g}, got {value!r}')


_MAY_BE_ZERO = ('queue', 'max_clip_seconds')
