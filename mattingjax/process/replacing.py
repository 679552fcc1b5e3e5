"""A new folder in the place of an older one, and what processes that were killed have left."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from mattingjax.process.locks import held

_LONGEST_RENAMING = 10.0  # seconds, which a lock is waited for that somebody else may hold
_LONGEST = 40  # characters of a folder's name in those of its temporary folders
_HERE, _EXCHANGE = -100, 2  # Linux: AT_FDCWD, RENAME_EXCHANGE


def scratch_prefix(path: Path) -> str:
    """How names of temporary folders for `path` begin: hidden, and like those of no other path."""
    return f'.{_short(path)}.writing.'


def _old_prefix(path: Path) -> str:
    return f'.{_short(path)}.old.'


def _short(path: Path) -> str:
    if len(path.name) <= _LONGEST:
        return path.name
    return f'{path.name[:_LONGEST]}-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}'


def replace_folder(scratch: Path, path: Path) -> None:
    """Renames `scratch` to `path`.

    Linux exchanges it with an older folder, which is called `scratch` then, in one step on most
    file systems. Elsewhere the older one is put aside first; a process that is killed before the
    next step leaves it there, for `remove_abandoned` to put back.

    Args:
      scratch: A temporary folder.
      path: Beside it: nothing, or the folder that is replaced.

    Raises:
      OSError: It cannot be renamed; the older folder is where it was.
    """
    if not path.exists():
        scratch.rename(path)
    elif not _exchange(scratch, path):
        old = Path(tempfile.mkdtemp(prefix=_old_prefix(path), dir=path.parent))
        try:
            path.rename(old)  # onto an empty directory: atomic on POSIX
        except OSError:
            old.rmdir()
            raise
        try:
            scratch.rename(path)
        except OSError:
            old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges the names of two folders; says whether that was possible."""
    if sys.platform != 'linux':
        return False
    rename = getattr(ctypes.CDLL(None), 'renameat2', None)  # not every C library has it
    names = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0


def remove_abandoned(path: Path) -> None:
    """Puts back the folder that was about to be replaced; removes what was written in part.

    Only what no living process has locked is touched. The caller is `alone_in` the parent.

    Args:
      path: The folder that was being made.
    """
    random = r'[a-z0-9_]{8}'  # as tempfile makes names
    names = '|'.join(re.escape(prefix) for prefix in (scratch_prefix(path), _old_prefix(path)))
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for name in [entry.name for entry in entries]:
            found = re.fullmatch(f'({names}){random}', name)
            if not found:
                continue
            with held(path.parent / name) as is_ours:
                if is_ours and found[1] == _old_prefix(path) and not os.path.lexists(path):
                    (path.parent / name).rename(path)
                elif is_ours:
                    shutil.rmtree(path.parent / name, ignore_errors=True)


def alone_in(folder: Path) -> AbstractContextManager[bool]:
    """Waits until no other process makes or renames folders there, as far as that can be known."""
    return held(folder, wait=_LONGEST_RENAMING)
