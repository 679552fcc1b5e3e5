"""Stopping long work early, without losing what is done: what Ctrl-C and SIGTERM do."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

from mattingjax.process.interrupts import handling, leave, listening
from mattingjax.process.progress import say

_ECHO = 0.2  # seconds in which the same signal once more is the same request


class Stop:
    """Handles the signals that ask work to stop, and knows whether it may end at once.

    While something would be lost, the first signal is a request: the work looks at `requested`,
    ends where it is whole and keeps what is done. Where nothing would be lost (at first, and where
    the work says so), and at a second signal, the process ends at once, after writes that have
    begun. The same signal just after the first one is no second one: `timeout` sends
    SIGTERM to a process and to its whole group.

    Args:
      keeping: What is done before the work stops, for a line such as 'stopping: KEEPING'.
      own_process: Whether the process runs nothing but this work, so that another thread may end it
        while a library is busy, when Python's signal handlers have to wait. If not, Ctrl-C raises
        KeyboardInterrupt wherever the process would end at once, as soon as Python goes on.

    Attributes:
      requested: The number of the signal that asked for the stop; None if none did.
      describe: A function that returns the last line where the process ends at once.
    """

    def __init__(self, keeping: str, *, own_process: bool) -> None:
        self._message = f'stopping: {keeping} (a second signal stops at once)'
        self._own_process = own_process
        self._at_stake = False
        self._is_asked = False  # set by the listening thread
        self._first: tuple[int, float] | None = None  # the first signal and when it was heard
        self.requested: int | None = None
        self.describe: Callable[[], str] = lambda: 'stopped'

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Handles signals while in the block; does nothing outside of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        thread = listening(self._hear) if self._own_process else contextlib.nullcontext()
        with thread, handling(self._handle):
            yield

    def has_done_something(self) -> None:
        """Notes that something is done, which would be lost if the process ended at once."""
        self._at_stake = True

    @contextlib.contextmanager
    def nothing_at_stake(self) -> Iterator[None]:
        """Lets signals end the process at once in a long block that begins when all is saved."""
        earlier, self._at_stake = self._at_stake, False
        if self.requested is not None and self._own_process:
            self._leave(self.requested)
        yield
        self._at_stake = earlier

    def _handle(self, number: int, _: object) -> None:
        is_second, self.requested = self.requested is not None, self.requested or number
        if self._own_process:
            return  # the listening thread does the rest
        if self._is_echo(number):
            return
        if number == signal.SIGINT and (is_second or not self._at_stake):
            raise KeyboardInterrupt
        if not is_second:
            say(self._message)

    def _hear(self, number: int) -> None:
        if self._is_echo(number):
            return
        if self._is_asked or not self._at_stake:
            self._leave(number)
        say(self._message)
        self._is_asked = True

    def _is_echo(self, number: int) -> bool:
        """Whether a signal, which is noted if it is the first, is the first one once more."""
        now = time.monotonic()
        if self._first is None:
            self._first = number, now
            return False
        return number == self._first[0] and now - self._first[1] < _ECHO

    def _leave(self, number: int) -> None:
        leave(128 + number, self.describe)
