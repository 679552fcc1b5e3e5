"""The threads that matte the photos of requests, and the queue before them, which has an end."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fastapi import HTTPException, Request

Result = TypeVar('Result')
Work = Callable[[threading.Event], Result]  # the event: nobody waits for the result any longer


class Abandoned(Exception):  # noqa: N818 - nothing has failed
    """Nobody waits for the result any longer."""


class Workers:
    """Runs the work of requests, so many at once; so many more wait.

    Args:
      threads: How many run at once.
      queue: How many wait.
      timeout: Seconds after which the client gets an answer, waiting included.

    Attributes:
      waiting: How many wait now.
      working: How many run now.
    """

    def __init__(self, threads: int, queue: int, timeout: float):
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix='matting')
        self._threads, self._queue, self._timeout = threads, queue, timeout
        self._inside = 0
        self._usual = 0.1  # seconds that a piece of work takes: a running mean
        self.working = 0
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        return max(0, self._inside - self.working)

    def check_room(self) -> None:
        """Raises HTTPException, 429, if the queue is full."""
        if self._inside >= self._threads + self._queue:
            seconds = max(1, math.ceil(self._usual * self._inside / self._threads))
            raise HTTPException(
                429,
                f'the server is busy: {self._inside} requests are in work or wait; try again in '
                f'{seconds} s',
                {'Retry-After': str(seconds)},
            )

    async def run(self, work: Work[Result], request: Request) -> Result:
        """Runs a function in one of the threads.

        Threads cannot be stopped: a function whose client has left, or whose time is over, goes on
        until it looks at its event, and counts until then.

        Args:
          work: Takes an event that is set once nobody waits for its result any longer.
          request: Whose work it is; its body has been read.

        Returns:
          What the function returns.

        Raises:
          HTTPException: The queue is full (429), or the time is over (503).
          Abandoned: The client has left.
        """
        self.check_room()
        with self._lock:
            self._inside += 1
        abandoned = threading.Event()
        future = self._pool.submit(self._count, work, abandoned)
        future.add_done_callback(self._leave)  # in its thread: the loop may have ended before it
        result = asyncio.wrap_future(future)
        result.add_done_callback(lambda done: done.cancelled() or done.exception())
        left = asyncio.ensure_future(_wait_until_left(request))
        try:
            futures: set[asyncio.Future] = {result, left}
            await asyncio.wait(futures, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            if left.done():
                raise Abandoned
            raise HTTPException(
                503, f'it took more than {self._timeout:g} s', {'Retry-After': '10'}
            )
        finally:
            left.cancel()
            abandoned.set()
            result.cancel()  # if no thread has begun it

    def _count(self, work: Work[Result], abandoned: threading.Event) -> Result:
        with self._lock:
            self.working += 1
        start = time.monotonic()
        try:
            if abandoned.is_set():
                raise Abandoned
            return work(abandoned)
        finally:
            with self._lock:
                self.working -= 1
                self._usual += 0.1 * (time.monotonic() - start - self._usual)

    def _leave(self, _: Future) -> None:
        with self._lock:
            self._inside -= 1

    def close(self) -> None:
        """Ends the threads; what waits is not begun any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _wait_until_left(request: Request) -> None:
    while (await request.receive())['type'] != 'http.disconnect':
        pass
