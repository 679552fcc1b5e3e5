"""Temporary files and folders, and those that killed processes have left: the next remove them.

Whoever makes one holds a lock on it, which the system takes back when the process ends, however it
ends. What has such a name, no lock, and has been left alone for a while belongs to nobody. Without
such locks (Windows, folders on NFS) everything stays.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mattingjax.errors import OutputError
from mattingjax.process.interrupts import removed_afterwards

SCRATCH_FILE = '.writing.'  # the beginning of temporary files' names
SCRATCH_FOLDER = '.writing.mattingjax.'  # and of folders' in that of the system's temporary files

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ABANDONED = 600.0  # seconds without a change, for file systems whose locks other hosts do not see
_NAME = re.compile(r'\.writing\.(mattingjax\.)?[a-z0-9_]{8}')  # as tempfile ends them


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
        import fcntl

        access = os.O_RDONLY if path.is_dir() else os.O_RDWR
        handle = os.open(path, access | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return False
    stack.callback(os.close, handle)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK or time.monotonic() >= end:
                return False
            time.sleep(0.01)
        else:
            return True


@functools.lru_cache(1024)
def sweep(folder: Path) -> None:
    """Removes what killed processes have left in a folder, once in the life of this process.

    Args:
      folder: The folder; those in it are not searched.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if _NAME.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                _clear_away(folder / name)


def _clear_away(path: Path) -> None:
    status = path.lstat()
    age = time.time() - max(status.st_mtime, status.st_ctime)
    is_own = hasattr(os, 'getuid') and status.st_uid == os.getuid()
    if not is_own or age < _ABANDONED:
        return
    with held(path) as is_nobodys:
        if is_nobodys and stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif is_nobodys:
            path.unlink()


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yields the path of a new folder among the system's temporary files, which is gone afterwards.

    Raises:
      OutputError: The disk of these files is full.
    """
    parent = Path(tempfile.gettempdir())
    with scratch_folder_in(parent, SCRATCH_FOLDER) as outer, scratch_errors(parent, outer):
        # The lock is on the outer one: others may lock what they are given.
        (folder := outer / 'content').mkdir()
        yield folder


@contextlib.contextmanager
def scratch_folder_in(parent: Path, prefix: str = SCRATCH_FILE) -> Iterator[Path]:
    """Yields the path of a new folder in another, which is gone afterwards.

    Args:
      parent: The folder to make it in.
      prefix: Beginning of its name.
    """

    def make() -> str:
        sweep(parent)
        return tempfile.mkdtemp(prefix=prefix, dir=parent)

    with removed_afterwards(make) as folder, held(folder):
        yield folder


@contextlib.contextmanager
def scratch_errors(path: Path, scratch: Path) -> Iterator[None]:
    """Turns errors about a temporary file or folder, and a full disk, into those about `path`.

    Args:
      path: What `scratch` will be called.
      scratch: The temporary file or folder.

    Raises:
      OutputError: It cannot be written.
    """
    try:
        yield
    except OutputError as error:
        raise OutputError(str(error).replace(str(scratch), str(path))) from error
    except OSError as error:
        if error.errno not in _DISK_FULL and scratch not in Path(f'{error.filename}/_').parents:
            raise
        raise OutputError(f'{path}: cannot be written ({error.strerror or error})') from error
