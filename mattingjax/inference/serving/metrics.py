"""What a server counts, for Prometheus."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from mattingjax.inference.serving.workers import Workers
from mattingjax.process.timing import Stages

__all__ = ['CONTENT_TYPE', 'Metrics']

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The metrics of one server, and of its process.

    Args:
      workers: 'photos' and 'clips' → who mattes them.
    """

    def __init__(self, workers: Mapping[str, Workers]):
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = Counter(
            'mattingjax_requests',
            'Requests, by route and status.',
            ('route', 'status'),
            registry=registry,
        )
        self._seconds = Histogram(
            'mattingjax_request_seconds',
            'Duration of requests.',
            ('route',),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            'mattingjax_stage_seconds',
            'Duration of each stage of a matte.',
            ('stage',),
            buckets=_SECONDS,
            registry=registry,
        )
        self._pixels = Counter(
            'mattingjax_pixels',
            'Pixels of the photos that got a matte.',
            ('network',),
            registry=registry,
        )
        waiting = Gauge('mattingjax_waiting', 'What waits now.', ('of',), registry=registry)
        working = Gauge('mattingjax_working', 'What is in work now.', ('of',), registry=registry)
        for name, those in workers.items():
            waiting.labels(name).set_function(functools.partial(getattr, those, 'waiting'))
            working.labels(name).set_function(functools.partial(getattr, those, 'working'))

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request by the route that answered it."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_matte(self, network: str, pixels: int, stages: Stages) -> None:
        """Counts a matte: its network, how large the photo was, and what took how long."""
        self._pixels.labels(network).inc(pixels)
        for name, seconds in stages.seconds.items():
            self._stages.labels(name).observe(seconds)

    def format(self) -> bytes:
        """All of it as text, in the format of `CONTENT_TYPE`."""
        return generate_latest(self._registry)
