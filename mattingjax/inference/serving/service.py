"""What the routes of a server share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

from mattingjax.inference.predictor import Predictor
from mattingjax.inference.serving.bodies import BodyReader
from mattingjax.inference.serving.limits import Limits
from mattingjax.inference.serving.metrics import Metrics
from mattingjax.inference.serving.networks import Networks
from mattingjax.inference.serving.workers import Workers

_WAITING_CLIPS = 1
_HELD = 8  # bodies of the largest size, in memory at once


class Service:
    """The networks, the threads, the limits and the counters of one server.

    Args:
      networks: What `Networks` takes as `sources`.
      load: What makes a predictor of each.
      limits: What the server takes from strangers.
      video_flags: Flags of `mattingjax video` that choose a runtime, for clips.

    Raises:
      MattingError: As `Networks` does.
    """

    def __init__(
        self,
        networks: Sequence[str],
        load: Callable[[str], Predictor],
        limits: Limits,
        video_flags: Sequence[str] = (),
    ):
        self.limits = limits
        self.networks = Networks(networks, load)
        self.workers = Workers(limits.workers, limits.queue, limits.timeout)
        self.bodies = BodyReader(round(_HELD * limits.max_megabytes * 1e6), limits.patience)
        # Of clips one at a time, each of which takes all cores.
        self.clip_worker = Workers(1, _WAITING_CLIPS, limits.clip_timeout)
        self.clip_bodies = BodyReader(
            round((1 + _WAITING_CLIPS) * limits.max_clip_megabytes * 1e6), limits.patience
        )
        self.video_flags = video_flags
        self.metrics = Metrics({'photos': self.workers, 'clips': self.clip_worker})

    def mattes_clips(self) -> bool:
        """Whether clips are taken: they need PyAV, and may be switched off."""
        return self.limits.max_clip_seconds > 0 and importlib.util.find_spec('av') is not None

    def close(self) -> None:
        """Ends the threads; what waits is not begun any more."""
        self.workers.close()
        self.clip_worker.close()
