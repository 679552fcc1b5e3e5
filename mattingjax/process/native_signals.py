"""What C++ code changes of the handling of signals, unseen by Python: it is put back."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator

from mattingjax.process.interrupts import SIGNALS

_LARGEST_ACTION = 256  # bytes of a `struct sigaction` at most; Linux's has 152


class _SignalStack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (('start', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t))


@contextlib.contextmanager
def keeping_signal_stack() -> Iterator[None]:
    """Puts the stack on which the thread handles signals back as it was before.

    Each core of OpenVINO gives the thread another one, and puts back what it found when it goes
    (2026.4). That is freed already where an earlier core went first, as NNCF's do: the next signal
    would be a segmentation fault.
    """
    if sys.platform != 'linux':
        yield
        return
    library, before = ctypes.CDLL(None), _SignalStack()
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)


@contextlib.contextmanager
def keeping_handlers() -> Iterator[Callable[[], None]]:
    """Puts the handlers of Ctrl-C and SIGTERM back as they were before, in any thread.

    Python's own `signal.signal` does so in the main thread alone. On Windows nothing is done.

    Yields:
      A function that puts them back at once.
    """
    if sys.platform == 'win32':
        yield lambda: None
        return
    library = ctypes.CDLL(None)
    before = {number: ctypes.create_string_buffer(_LARGEST_ACTION) for number in SIGNALS}
    for number, action in before.items():
        library.sigaction(number, None, action)

    def put_back() -> None:
        for number, action in before.items():
            library.sigaction(number, action, None)

    try:
        yield put_back
    finally:
        put_back()
