"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mattingjax.errors import OutputError


def write_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: under a temporary name beside it, then renamed.

    Raises:
      OutputError: It cannot be written.
    """
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix='.writing.', dir=path.parent)
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
        os.chmod(scratch, 0o666 & ~current_umask())
        os.replace(scratch, path)
    except OSError as error:
        raise OutputError(f'{path}: cannot be written ({error.strerror})') from error
    finally:
        if scratch is not None and os.path.exists(scratch):
            os.unlink(scratch)


def current_umask() -> int:
    """The permissions that new files and folders do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_folder(folder: Path) -> None:
    """Raises OutputError unless files can be written to `folder`, once it is made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise OutputError(f'{existing}: expected a folder to write to, found a file')
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f'{existing}: cannot be written to (permission denied)')


def check_outside(output: Path, inputs: Iterable[Path]) -> None:
    """Raises OutputError if `output` lies in one of the folders that photos are searched in."""
    for folder in inputs:
        if output.resolve().is_relative_to(folder.resolve()):
            raise OutputError(
                f'{output}: expected a place outside of {folder}, or the next run would take what '
                'is drawn there for a photo'
            )


def check_new_folder(path: Path, kind: str, marker: str, *, overwrite: bool = False) -> None:
    """Raises OutputError unless `new_folder` may write there; nothing is written.

    Args:
      path: The folder to make.
      kind: What it is called in messages: 'a checkpoint', say.
      marker: A file that only a folder of this kind holds.
      overwrite: Whether a folder with the marker is replaced. A folder without it never is.
    """
    check_folder(path.parent)
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(f'{path}: expected a folder or nothing, found a file')
    if not any(path.iterdir()):
        return
    if not (path / marker).is_file():
        raise OutputError(f'{path}: the folder is not empty')
    if not overwrite:
        raise OutputError(f'{path}: {kind} lies there already')


@contextlib.contextmanager
def new_folder(path: Path, kind: str, marker: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Makes a folder whole or not at all.

    Args:
      path: The folder to make; links in it are followed.
      kind: See `check_new_folder`, as `marker`.
      marker: A file of its.
      overwrite: See `check_new_folder`.

    Yields:
      A temporary folder beside it, which gets its name once the block has ended without an error.
      What lay there is removed only after that.

    Raises:
      OutputError: It cannot be written, or something else lies there.
    """
    path = Path(os.path.realpath(path))
    check_new_folder(path, kind, marker, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent))
    except OSError as error:
        raise OutputError(f'{path}: cannot be written ({error.strerror or error})') from error
    try:
        scratch.chmod(0o777 & ~current_umask())
        yield scratch
        try:
            _replace_folder(scratch, path)
        except OSError as error:
            raise OutputError(f'{path}: cannot be written ({error.strerror or error})') from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace_folder(scratch: Path, path: Path) -> None:
    """Renames `scratch` to `path`; what lay there is removed only after that."""
    if not path.exists():
        scratch.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f'.{path.name}.old.', dir=path.parent))
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
