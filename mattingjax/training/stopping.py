"""Ending a training early: what Ctrl-C and SIGTERM do."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from mattingjax.process.interrupts import handling, leave, listening
from mattingjax.process.progress import say

_STOPPING = 'stopping: the step is finished, then saved (once more: at once)'


class Stop:
    """Whether a training was asked to end, and what it loses if it ends at once.

    While steps are done, the first signal only asks: the training ends after its step, and saves.
    Where nothing would be lost (before the first step, while a step compiles), or at a second
    signal, the process ends at once; but what is being written is written first.

    Args:
      own_process: Whether the process is there for this training alone, so that it may be ended
        from another thread while XLA, which hears of no signal, compiles. If not, Ctrl-C raises
        KeyboardInterrupt wherever the process would end at once, as soon as Python goes on.

    Attributes:
      requested: The signal that asked; None if none did.
      latest_step: What tells the step of the latest saved state, after what is on its way to the
        disk is there; None if there is none.
    """

    def __init__(self, *, own_process: bool) -> None:
        self._own_process = own_process
        self._at_stake = False
        self._is_asked = False  # by the other thread
        self.requested: int | None = None
        self.latest_step: Callable[[], int | None] = lambda: None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Hears signals while in the block. Only the main thread can; another one hears none."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        thread = listening(self._hear) if self._own_process else contextlib.nullcontext()
        with thread, handling(self._handle):
            yield

    def has_done_a_step(self) -> None:
        """From now on there is something to lose."""
        self._at_stake = True

    @contextlib.contextmanager
    def nothing_at_stake(self) -> Iterator[None]:
        """For what begins when everything is saved, and may take long."""
        earlier, self._at_stake = self._at_stake, False
        if self.requested is not None and self._own_process:
            self._leave(self.requested)
        yield
        self._at_stake = earlier

    def _handle(self, number: int, _: object) -> None:
        is_second, self.requested = self.requested is not None, self.requested or number
        if self._own_process:
            return  # the other thread does the rest
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
