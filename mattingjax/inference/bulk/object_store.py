"""Folders of object stores, by pyarrow."""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from mattingjax.errors import MattingError, OutputError, unwrapped
from mattingjax.inference.bulk.store import Entry, Store
from mattingjax.process.scratch import scratch_folder

_PAUSES = (1.0, 5.0)  # seconds before a store is asked once more, after the client's own attempts

T = TypeVar('T')


class ObjectStore:
    """A folder of an object store; what is written appears there whole.

    Args:
      address: Its address, with parameters of pyarrow's after a question mark.
    """

    def __init__(self, address: str):
        self.address = address

    def connect(self) -> None:
        """Finds the store; raises OSError or ValueError."""
        self._opened  # noqa: B018

    def __getstate__(self) -> dict[str, Any]:
        return {'address': self.address}  # each process connects by itself

    @functools.cached_property
    def _opened(self) -> tuple[Any, str]:
        from pyarrow import fs

        address = self.address
        if address.startswith('s3://'):  # so that a small file is one request and not three
            address += f'{"&" if "?" in address else "?"}allow_delayed_open=true'
        files, base = fs.FileSystem.from_uri(address)
        return files, base.rstrip('/')

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def base(self) -> str:
        """The bucket and the folder in it."""
        return self._opened[1]

    @property
    def identity(self) -> str:
        return f'{self.address.partition("://")[0]}://{self.base}'

    def list(self, folder: str) -> list[Entry]:
        from pyarrow import fs

        selector = fs.FileSelector(self._path(folder))
        found = _retried(lambda: self._files.get_file_info(selector))
        return sorted(
            Entry(
                info.base_name,
                info.size or 0,
                info.mtime_ns or 0,
                info.type == fs.FileType.Directory,
            )
            for info in found
            if info.base_name
        )

    def read(self, name: str) -> bytes:
        def read() -> bytes:
            with self.open(name) as file:
                return file.read()

        return _retried(read)

    def open(self, name: str) -> Any:
        return self._files.open_input_file(self._path(name))

    def write(self, name: str, content: bytes) -> None:
        def write() -> None:
            with self._files.open_output_stream(self._path(name)) as file:
                file.write(content)

        with self._output_errors(name):
            _retried(write)

    @contextlib.contextmanager
    def creating(self, name: str) -> Iterator[Path]:
        with scratch_folder() as folder:
            yield folder / 'file'  # which is sent at once, as closing a stream ends the file

            def send() -> None:
                with (
                    (folder / 'file').open('rb') as source,
                    self._files.open_output_stream(self._path(name)) as file,
                ):
                    shutil.copyfileobj(source, file, 2**23)

            with self._output_errors(name):
                _retried(send)

    def remove(self, name: str) -> None:
        from pyarrow import fs

        path = self._path(name)
        with self._output_errors(name):
            kind = self._files.get_file_info(path).type
            if kind == fs.FileType.Directory:
                self._files.delete_dir(path)
            elif kind == fs.FileType.File:
                self._files.delete_file(path)

    def find(self, other: Store) -> str | None:
        if not isinstance(other, ObjectStore) or not self._files.equals(other._files):
            return None
        if f'{other.base}/'.startswith(f'{self.base}/'):
            return other.base.removeprefix(self.base).lstrip('/')
        return None

    def locked(self) -> AbstractContextManager[None]:
        """Does nothing: stores know no locks."""
        return contextlib.nullcontext()

    def _path(self, name: str) -> str:
        return f'{self.base}/{name}' if name else self.base

    @contextlib.contextmanager
    def _output_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            if isinstance(error, MattingError):
                raise
            path = f'{self.address.partition("?")[0].rstrip("/")}/{name}'
            raise OutputError(f'{path}: cannot be written ({unwrapped(str(error))})') from error


def _retried(action: Callable[[], T]) -> T:
    """What an action returns, which is tried some times where the store fails."""
    for pause in _PAUSES:
        try:
            return action()
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            time.sleep(pause)
    return action()
