"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mattingjax.errors import OutputError
from mattingjax.process.interrupts import removed_afterwards, writing
from mattingjax.process.locks import held
from mattingjax.process.replacing import (
    alone_in,
    remove_abandoned,
    replace_folder,
    scratch_prefix,
)
from mattingjax.process.scratch import (
    SCRATCH_FILE,
    scratch_errors,
    scratch_folder,
    scratch_folder_in,
    sweep,
)

LONGEST_NAME = 255  # bytes, on every file system in use
_PLAIN_PATH = re.compile(r'(\w:)?[\w/ .,+=@~^-]*', re.ASCII)


def write_file(path: Path, content: bytes, folder: Path | None = None) -> None:
    """Writes a file whole or not at all: under a temporary name beside it, then renamed.

    Args:
      path: The file; links are followed, and folders are made.
      content: The bytes to write.
      folder: Where the temporary file lies, as in `new_file`.

    Raises:
      OutputError: It cannot be written.
    """
    with output_errors(path), new_file(path, folder) as scratch:
        scratch.write_bytes(content)


def write_files(contents: dict[Path, bytes]) -> None:
    """Writes the files of one result, all of them or none: they get their names in the end.

    Args:
      contents: Path of each file → its bytes. The last one gets its name last, so that it means
        that all are there.

    Raises:
      OutputError: One of them cannot be written.
    """
    with contextlib.ExitStack() as stack:
        for path, content in reversed(contents.items()):
            stack.enter_context(new_file(path)).write_bytes(content)
        with writing():  # no signal ends the process between two names
            stack.close()


@contextlib.contextmanager
def new_file(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Makes a file whole or not at all.

    Args:
      path: The file; links are followed, folders are made, and an older file is replaced.
      folder: An existing folder, on the same file system, for the temporary file, which a process
        that is killed leaves there; that of the file if None.

    Yields:
      A temporary file there, which gets the name once the block has ended without an error.

    Raises:
      OutputError: It cannot be written, or something else lies there.
    """
    with contextlib.ExitStack() as stack:
        with output_errors(path):
            target = _file_to_write(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            place = folder or target.parent
            scratch = stack.enter_context(removed_afterwards(lambda: _make_file(place)))
            stack.enter_context(held(scratch))
        with scratch_errors(path, scratch):
            yield scratch
        with output_errors(path):
            scratch.chmod(0o666 & ~current_umask())
            scratch.replace(target)


def check_new_file(path: Path) -> None:
    """Raises OutputError unless `new_file` may write there; nothing is written."""
    with output_errors(path):
        check_folder(_file_to_write(path).parent)


def _file_to_write(path: Path) -> Path:
    """The path without links; raises OutputError if something else than a file lies there."""
    target = Path(os.path.realpath(path))
    if _lies_there(target) and not target.is_file():
        raise OutputError(f'{path}: expected a file or nothing, found {_describe(target)}')
    return target


def _make_file(folder: Path) -> str:
    sweep(folder)
    handle, scratch = tempfile.mkstemp(prefix=SCRATCH_FILE, dir=folder)
    os.close(handle)
    return scratch


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns errors of the file system, and about impossible paths, into OutputError."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f'{path}: cannot be written ({error.strerror or error})') from error
    except ValueError as error:  # a null character, or one that cannot be encoded
        raise OutputError(f'{path}: no name for a file ({error})') from error


def current_umask() -> int:
    """The permissions that new files and folders do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_folder(folder: Path) -> None:
    """Raises OutputError unless files can be written to `folder`, once it is made."""
    with output_errors(folder):
        existing, missing = folder.absolute(), list[str]()
        while not _lies_there(existing):
            missing.append(existing.name)
            existing = existing.parent
        for name in missing:
            _lies_there(existing / name)  # raises for names that the file system does not take
        if not existing.is_dir():
            raise OutputError(
                f'{existing}: expected a folder to write to, found {_describe(existing)}'
            )
        if not os.access(existing, os.W_OK | os.X_OK):
            raise OutputError(f'{existing}: cannot be written to (permission denied)')


def make_folder(folder: Path) -> None:
    """Makes a folder, with those above it; raises OutputError where that is not possible."""
    check_folder(folder)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _lies_there(path: Path) -> bool:
    """Whether anything has that path; raises OSError if nothing can have it."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _describe(path: Path) -> str:
    """What lies at a path, for a message."""
    if path.is_file() or path.is_dir():
        return 'a file' if path.is_file() else 'a folder'
    return 'a device or a pipe' if path.exists() else 'a link to nothing'


def check_outside(output: Path, inputs: Iterable[Path]) -> None:
    """Raises OutputError if a result would lie among the photos.

    Args:
      output: The file or folder to write.
      inputs: The folders in which photos are searched.
    """
    for folder in inputs:
        if Path(os.path.realpath(output)).is_relative_to(os.path.realpath(folder)):
            raise OutputError(
                f'{output}: expected a place outside of {folder}, or the next run would take what '
                'is drawn there for a photo'
            )


def check_new_folder(path: Path, kind: str, marker: str, *, overwrite: bool = False) -> None:
    """Raises OutputError unless `new_folder` may write there; nothing is written.

    Args:
      path: The folder to make.
      kind: What messages call it, such as 'a checkpoint'.
      marker: Name of a file that only a folder of this kind holds.
      overwrite: Whether a folder with the marker is replaced. A folder without it never is.
    """
    with output_errors(path):
        target = Path(os.path.realpath(path))
        if not _lies_there(target):
            check_folder(target)
            return
        check_folder(target.parent)
        if not target.is_dir():
            raise OutputError(f'{path}: expected a folder or nothing, found {_describe(target)}')
        if not any(target.iterdir()):
            return
        if not (target / marker).is_file():
            raise OutputError(f'{path}: the folder is not empty')
        if not overwrite:
            raise OutputError(f'{path}: {kind} lies there already; overwrite=True replaces it')


@contextlib.contextmanager
def new_folder(path: Path, kind: str, marker: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Makes a folder whole or not at all.

    Args:
      path: The folder to make; links in it are followed.
      kind: What messages call it, such as 'a checkpoint'.
      marker: Name of a file that only a folder of this kind holds.
      overwrite: Whether a folder with the marker is replaced. A folder without it never is.

    Yields:
      A temporary folder beside it, which gets the name once the block has ended without an error.
      An older folder is removed only after that. Of several processes that make the same folder
      the last one replaces the others', if it may, and what a killed one has left is removed.

    Raises:
      OutputError: It cannot be written, or something else lies there.
    """
    check_new_folder(path, kind, marker, overwrite=overwrite)
    path = Path(os.path.realpath(path))
    with contextlib.ExitStack() as stack:
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with writing(), alone_in(path.parent):
                remove_abandoned(path)
                scratch = stack.enter_context(scratch_folder_in(path.parent, scratch_prefix(path)))
        scratch.chmod(0o777 & ~current_umask())
        with scratch_errors(path, scratch):
            yield scratch
        with output_errors(path), writing(), alone_in(path.parent):
            # Another process may have been quicker.
            check_new_folder(path, kind, marker, overwrite=overwrite)
            replace_folder(scratch, path)


@contextlib.contextmanager
def plainly_named(folder: Path) -> Iterator[Path]:
    """A path to a folder without characters in which Orbax and etils see a meaning.

    They take brackets for patterns, 'gs:' for an address and a backslash for an escape, and refuse
    '..'.

    Args:
      folder: A folder that exists.

    Yields:
      The folder's absolute path if every character of it is plain; else that of a link to it, which
      is removed afterwards.
    """
    folder = folder.resolve()
    with contextlib.ExitStack() as stack:
        if not _PLAIN_PATH.fullmatch(folder.as_posix()):
            scratch = stack.enter_context(scratch_folder())
            link = scratch / 'folder'
            link.symlink_to(folder, target_is_directory=True)
            folder = link
        yield folder
