"""Stopping a training early: what Ctrl-C and SIGTERM do."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from mattingjax.process.interrupts import handling, leave, listening
from mattingjax.process.progress import say

_STOPPING = 'stopping: the step is finished, then saved (a second signal stops at once)'


class Stop:
    """Handles the signals that ask a training to stop, and knows whether it may end at once.

    While steps run, the first signal is a request: the training ends after the steps under way and
    is saved. Where nothing would be lost (before the first step, and while a step is compiled), and
    at a second signal, the process ends at once, after writes that have begun.

    Args:
      own_process: Whether the process runs nothing but this training, so that another thread may
        end it while XLA compiles, when Python's signal handlers have to wait. If not, Ctrl-C raises
        KeyboardInterrupt wherever the process would end at once, as soon as Python goes on.

    Attributes:
      requested: The number of the signal that asked for the stop; None if none did.
      latest_step: A function that waits until saved states are on the disk and returns the step of
        the latest one; None if there is none.
    """

    def __init__(self, *, own_process: bool) -> None:
        self._own_process = own_process
        self._at_stake = False
        self._is_asked = False  # set by the listening thread
        self.requested: int | None = None
        self.latest_step: Callable[[], int | None] = lambda: None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Handles signals while in the block; does nothing outside of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        thread = listening(self._hear) if self._own_process else contextlib.nullcontext()
        with thread, handling(self._handle):
            yield

    def has_done_a_step(self) -> None:
        """Notes that a step has been done, which would be lost if the process ended at once."""
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
            say(_STOPPING)

    def _hear(self, number: int) -> None:
        if self._is_asked or not self._at_stake:
            self._leave(number)
        say(_STOPPING)
        self._is_asked = True

    def _leave(self, number: int) -> None:
        leave(number, self._describe)

    def _describe(self) -> str:
        step = self.latest_step()
        begins = 'begins anew' if step is None else f'goes on from step {step}'
        return f'stopped; the same command {begins}'
