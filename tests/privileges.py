"""Threads that obey the permissions of files, which root's do not."""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator

_VERSION = 0x20080522  # of the kernel's calls about capabilities: _LINUX_CAPABILITY_VERSION_3
_OVERRIDING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
_LAYOUT = '=6I'  # the effective, permitted and inheritable ones, twice 32 of them


@contextlib.contextmanager
def obeying_permissions() -> Iterator[None]:
    """Within it, this thread and those that it starts may do no more than any owner of the files.

    Raises:
      OSError: The system does not let it.
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack('=Ii', _VERSION, 0)
    held = ctypes.create_string_buffer(struct.calcsize(_LAYOUT))
    _check(libc.capget(header, held))
    effective, *others = struct.unpack(_LAYOUT, held.raw)
    _check(libc.capset(header, struct.pack(_LAYOUT, effective & ~_OVERRIDING, *others)))
    try:
        yield
    finally:
        _check(libc.capset(header, held))


def _check(status: int) -> None:
    if status != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
