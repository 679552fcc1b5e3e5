"""Removing what other threads may still write to."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path

_LONGEST_LATE_WRITE = 3.0  # seconds that other libraries may go on writing after an error of theirs
_QUIET = 0.3  # seconds without a write, after which they have ended


def remove(scratch: Path) -> None:
    """Removes a file or folder, even if another thread still writes to it."""
    for _ in range(10):
        if os.path.isdir(scratch) and not os.path.islink(scratch):
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                scratch.unlink()
        if not os.path.lexists(scratch):
            break


def remove_for_good(scratch: Path) -> None:
    """Removes a folder until it stays away: after an error, TensorStore's threads go on writing."""
    is_folder = os.path.isdir(scratch)  # pathlib's own raises where it may not be searched
    remove(scratch)
    last, end = time.monotonic(), time.monotonic() + _LONGEST_LATE_WRITE
    while is_folder and time.monotonic() < min(last + _QUIET, end):
        time.sleep(_QUIET / 20)
        if os.path.lexists(scratch):
            last = time.monotonic()
            remove(scratch)
            try:
                scratch.rmdir()
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    return  # it may not be removed at all
