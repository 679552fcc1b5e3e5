"""Temporary files and folders, and those that killed processes have left: the next remove them.

Whoever makes one holds a lock on it, which the system takes back when the process ends, however it
ends. What has such a name, no lock, and has been left alone for a while belongs to nobody. Without
locks (`process.locks`) everything stays.
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
from mattingjax.process.locks import held

SCRATCH_FILE = '.writing.'  # the beginning of temporary files' names
SCRATCH_FOLDER = '.writing.mattingjax.'  # and of folders' in that of the system's temporary files

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ABANDONED = 600.0  # seconds without a change, for file systems whose locks other hosts do not see
_NAME = re.compile(r'\.writing\.(mattingjax\.)?[a-z0-9_]{8}')  # as tempfile ends them


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
