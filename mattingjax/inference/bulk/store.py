"""What runs read and write: a folder on this machine or in an object store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

PRIVATE = '.bulk'  # the folder, in that of the results, of what only runs read


class Entry(NamedTuple):
    """A file or a folder in a folder.

    Attributes:
      name: Its name in that folder.
      size: Size of the file in bytes.
      modified: When it was changed, in nanoseconds since 1970.
      is_folder: Whether it is a folder.
    """

    name: str
    size: int = 0
    modified: int = 0
    is_folder: bool = False


class Store(Protocol):
    """A folder of some file system; names in it are relative to it, with slashes.

    Attributes:
      address: The folder, as people write it.
    """

    address: str

    @property
    def identity(self) -> str:
        """The same for every way to write the address."""

    def list(self, folder: str) -> list[Entry]:
        """What lies in a folder of it, '' for itself, in the order of names.

        Raises:
          FileNotFoundError: There is no such folder.
          OSError: It cannot be read.
        """

    def read(self, name: str) -> bytes:
        """The content of a file; raises OSError."""

    def open(self, name: str) -> Any:
        """A file of pyarrow's that is open for reading; raises OSError."""

    def write(self, name: str, content: bytes) -> None:
        """Writes a file whole or not at all; raises OutputError."""

    def creating(self, name: str) -> AbstractContextManager[Path]:
        """A context that yields the path of a file that gets the name when the block has ended."""

    def remove(self, name: str) -> None:
        """Removes a file or a folder with all in it, if it is there; raises OutputError."""

    def find(self, other: Store) -> str | None:
        """The name in this store of another one; None unless it lies within ('' for the same)."""

    def locked(self) -> AbstractContextManager[None]:
        """A context in which no second run can have the store locked, if it knows locks.

        Raises:
          MattingError: A run is going on there.
          OutputError: It cannot be written to, or was removed meanwhile.
        """
