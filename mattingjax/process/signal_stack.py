"""The stack on which a thread handles signals, which OpenVINO takes away."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator


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
