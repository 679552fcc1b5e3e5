"""Folders on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mattingjax.errors import MattingError, OutputError
from mattingjax.inference.bulk.store import PRIVATE, Entry, Store
from mattingjax.process import locks
from mattingjax.process.files import check_folder, make_folder, new_file, output_errors, write_file
from mattingjax.process.reading import check_file, explain_absence, read_file

SCRATCH = f'{PRIVATE}/scratch'
_LATEST = 2**63 - 1  # nanoseconds since 1970, in the year 2262, that a table can hold


class Folder:
    """A folder on this machine, or on a disk that all machines of a cluster share.

    Args:
      address: Its path.
    """

    def __init__(self, address: str):
        self.address = address
        self._path = Path(os.path.abspath(address))

    @property
    def identity(self) -> str:
        return os.path.realpath(self._path)

    def check(self) -> None:
        """Raises MattingError if there is no such folder."""
        if not os.path.isdir(self._path):  # pathlib's own raises where it may not be searched
            is_there = os.path.exists(self._path)
            found = 'not a folder' if is_there else explain_absence(self._path, 'folder')
            raise MattingError(f'{self.address}: {found}')

    def list(self, folder: str) -> list[Entry]:
        entries = []
        with os.scandir(self._path / folder) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    entries.append(Entry(entry.name, is_folder=True))
                elif status := _stat(entry):
                    modified = min(max(status.st_mtime_ns, -_LATEST), _LATEST)
                    entries.append(Entry(entry.name, status.st_size, modified))
        return sorted(entries)

    def read(self, name: str) -> bytes:
        return read_file(self._path / name)

    def open(self, name: str) -> Any:
        import pyarrow

        check_file(self._path / name)
        return pyarrow.OSFile(str(self._path / name))

    def write(self, name: str, content: bytes) -> None:
        # What a killed worker leaves lies in one place so, and not among the results.
        make_folder(self._path / SCRATCH)
        write_file(self._path / name, content, self._path / SCRATCH)

    def creating(self, name: str) -> AbstractContextManager[Path]:
        return new_file(self._path / name)

    def remove(self, name: str) -> None:
        path = self._path / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            return
        with output_errors(path):
            path.unlink(missing_ok=True)

    def find(self, other: Store) -> str | None:
        if not isinstance(other, Folder):
            return None
        own, its = Path(self.identity), Path(other.identity)
        if not its.is_relative_to(own):
            return None
        return '' if its == own else its.relative_to(own).as_posix()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """As in `Store`, where there are locks of files."""
        check_folder(self._path)
        file = self._path / PRIVATE / 'lock'
        with locks.locked(file, self.address, 'another run writes there'):
            status = file.stat()
            yield
        if not file.exists() or not os.path.samestat(status, file.stat()):
            raise OutputError(
                f'{self.address}: was removed meanwhile; the same command mattes again what is '
                'missing'
            )


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of a file; None if it is none, has gone meanwhile, or is a link to nothing."""
    try:
        return entry.stat() if entry.is_file() else None
    except OSError as error:
        # Links may lead to each other, or to names that are too long.
        if entry.is_symlink() or isinstance(error, FileNotFoundError):
            return None
        raise
