"""The memory of a training process."""

from __future__ import annotations

import ctypes
import platform

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Has the C library keep the memory that this process frees, for its next allocations.

    XLA:CPU allocates what a step works on anew in every step. glibc gives blocks of that size back
    to the system each time, which then clears every page of them again. For a process that does
    the same all the time, before it starts threads; it stays as large as it ever was.

    Returns:
      Whether the C library is glibc and took the settings; other ones are left alone.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1}  # -1: never
    taken = [mallopt(name, value) == 1 for name, value in settings.items()]
    return all(taken)
