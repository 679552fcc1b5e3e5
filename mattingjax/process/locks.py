"""Locks on files and folders, which the system takes back when a process ends, however it ends.

Windows has none of them, nor have some file systems of networks: there nobody is kept out.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mattingjax.errors import MattingError, OutputError


@contextlib.contextmanager
def held(path: Path, wait: float = 0) -> Iterator[bool]:
    """Locks a file or folder until the end of the block, or of the process.

    Args:
      path: What is locked; links are not followed.
      wait: The seconds for which it waits for whoever holds the lock.

    Yields:
      Whether the lock could be had.
    """
    with contextlib.ExitStack() as stack:
        yield _lock(path, time.monotonic() + wait, stack)


def _lock(path: Path, end: float, stack: contextlib.ExitStack) -> bool:
    """Tries to lock a file or folder until a time; returns whether it has it."""
    try:
        import fcntl  # noqa: F401

        access = os.O_RDONLY if path.is_dir() else os.O_RDWR
        handle = os.open(path, access | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return False
    stack.callback(os.close, handle)
    while (is_ours := _try_to_lock(handle)) is False and time.monotonic() < end:
        time.sleep(0.01)
    return bool(is_ours)


@contextlib.contextmanager
def locked(file: Path, place: object, in_use: str) -> Iterator[None]:
    """Keeps others out of a place by a file that is locked until the end of the block.

    Args:
      file: The file, which stays; its folder is made.
      place: What messages call the place.
      in_use: What is said if another process is there.

    Raises:
      MattingError: Another process is there.
      OutputError: The file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = file.open('a+')  # which waits for no pipe's reader
    except OSError as error:
        what = error.strerror or error
        raise OutputError(f'{place}: cannot be written ({what})') from error
    with opened:
        if _try_to_lock(opened.fileno()) is False:
            raise MattingError(f'{place}: {in_use}')
        yield


def _try_to_lock(handle: int) -> bool | None:
    """Whether an open file is locked now, or by somebody else; None where there are no locks."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True
