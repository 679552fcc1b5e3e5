"""How the memory that a process frees is kept for its next allocations."""

from __future__ import annotations

import ctypes
import platform

# Options of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Makes the C library keep the memory that this process frees, for its next allocations.

    XLA:CPU allocates the memory of a step anew in every step of a training, NumPy and OpenCV that
    of a picture for every frame of a video. Blocks of that size go back to the system each time
    when glibc frees them, and the system clears their pages before it hands them out again, which
    takes longer than most of what is done to a picture. Call this before threads start, in a
    process that repeats the same work: the process stays as large as it was at its largest.

    Returns:
      Whether the C library is glibc and accepted the settings; other C libraries stay as they are.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1}  # -1: never trim
    accepted = [mallopt(name, value) == 1 for name, value in settings.items()]
    return all(accepted)
