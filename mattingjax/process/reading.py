"""Files that are read: whole, by their hash, and what is said where there is none."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path


def read_file(path: Path) -> bytes:
    """The content of a file.

    Raises:
      OSError: It cannot be read, or is no file: reading a pipe or a device might never end.
    """
    check_file(path)
    return path.read_bytes()


def check_file(path: Path) -> None:
    """Raises OSError where reading might never end: at a device or a pipe, or where nothing is."""
    if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        raise OSError(errno.EINVAL, 'expected a file, found a device or a pipe', str(path))


def explain_absence(path: str | Path, expected: str = 'file') -> str:
    """Why nothing is found at a path: 'no such file', or that a folder above it cannot be read."""
    try:
        os.stat(path)
    except PermissionError as error:
        return f'cannot be read ({error.strerror})'
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        pass
    return f'no such {expected}'


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
