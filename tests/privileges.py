"""Threads that obey the permissions of files, which root's do not."""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator

import pytest

_VERSION = 0x20080522  # of the kernel's calls about capabilities: _LINUX_CAPABILITY_VERSION_3
_OVERRIDING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
_LAYOUT = '=6I'  # the effective, permitted and inheritable ones, twice 32 of them


@contextlib.contextmanager
def obeying_permissions() -> Iterator[None]:
    """Within it, this thread and those that it starts may do no more than any owner of the files.

    The test is skipped where root cannot give up what it may.
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None)
    header = struct.pack('=Ii', _VERSION, 0)
    held = ctypes.create_string_buffer(struct.calcsize(_LAYOUT))
    if not hasattr(libc, 'capget') or libc.capget(header, held) != 0:
        pytest.skip('no capabilities of Linux, which root could give up')
    effective, *others = struct.unpack(_LAYOUT, held.raw)
    if libc.capset(header, struct.pack(_LAYOUT, effective & ~_OVERRIDING, *others)) != 0:
        pytest.skip('root may not give up its capabilities')
    try:
        yield
    finally:
        libc.capset(header, held)
