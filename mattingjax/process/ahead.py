"""Work that is under way before its results are asked for, a bounded number of items at a time."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar('T')
Result = TypeVar('Result')

_LOOK = 0.1  # seconds after which a reader that waits looks whether it should stop
# Seconds that an item may still take when nobody wants it any more: one that was asked for, and one
# that may never come.
_LONGEST_END, _SHORT_END = 5.0, 0.5


def run_ahead(
    pool: Executor, function: Callable[[T], Result], items: Iterable[T], most: int
) -> Iterator[tuple[T, Future[Result]]]:
    """Yields each item with the function's result, in order; the next few are under way already.

    Args:
      pool: Where the function runs.
      function: What is done to each item.
      items: The items, which this thread takes.
      most: The number of items that are under way while the caller has one.
    """
    started: deque[tuple[T, Future[Result]]] = deque()
    for item in items:
        started.append((item, pool.submit(function, item)))
        if len(started) > most:
            yield started.popleft()
    while started:
        yield started.popleft()


def read_ahead(
    items: Iterable[T], most: int, is_over: Callable[[], bool] = lambda: False
) -> Generator[T]:
    """Yields items that another thread reads ahead.

    Args:
      items: The items, which the other thread takes; what they raise is raised here.
      most: The number of items that wait at most, at least 1.
      is_over: Whether no further item is wanted, which is looked at while waiting too: the thread
        is left alone then, and may go on waiting for an item that never comes.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(most)
    left = threading.Event()

    def hand_over(item: T | None, error: BaseException | None) -> None:
        while not left.is_set():
            try:
                return ready.put((item, error), timeout=_LOOK)
            except queue.Full:
                pass

    def read() -> None:
        try:
            for item in items:
                hand_over(item, None)
                if left.is_set():
                    return
            hand_over(None, StopIteration())
        except BaseException as error:
            hand_over(None, error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while not is_over():
            try:
                item, error = ready.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # there is no error
    finally:
        left.set()
        thread.join(_SHORT_END if is_over() else _LONGEST_END)
