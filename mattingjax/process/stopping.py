"""Stopping long work early, without losing what is done: what Ctrl-C and SIGTERM do."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from mattingjax.process.interrupts import handling, leave, listening
from mattingjax.process.progress import say


class Stop:
    """Handles the signals that ask work to stop, and knows whether it may end at once.

    While something would be lost, the first signal is a request: the work looks at `requested`,
    ends where it is whole and keeps what is done. Where nothing would be lost (at first, and where
    the work says so), and at a second signal, the process ends at once, after writes that have
    begun.

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
        if number == signal.SIGINT and (is_second or not self._at_stake):
            raise KeyboardInterrupt
        if not is_second:
            say(self._message)

    def _hear(self, number: int) -> None:
        if self._is_asked or not self._at_stake:
            self._leave(number)
        say(self._message)
        self._is_asked = True

    def _leave(self, number: int) -> None:
        leave(128 + number, self.describe)
