"""Keeps programs that JAX has compiled in a folder for the next start."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from absl import logging

from mattingjax.errors import OutputError
from mattingjax.process.files import make_folder

MAX_BYTES = 2**30  # of all programs that are kept; a training step has about 5 MB

_planned: list[str | None] = []
_FAILED = re.compile(
    r"Error (reading|writing) persistent compilation cache entry for '?(.+?)'?: (.+)", re.DOTALL
)


def default_folder() -> Path:
    """`mattingjax/compiled` in the user's folder for caches."""
    caches = os.environ.get('XDG_CACHE_HOME', '')
    # By the convention of XDG_CACHE_HOME, relative paths do not count.
    base = Path(caches) if os.path.isabs(caches) else Path('~/.cache').expanduser()
    return base / 'mattingjax' / 'compiled'


def keep_compiled(folder: str | None = None, max_bytes: int = MAX_BYTES) -> Path | None:
    """Makes JAX keep what it compiles, and load what it compiled earlier, in this process.

    JAX names what it keeps by the program, its own version and the processor's abilities: nothing
    is loaded that was made for another machine. This call removes the programs that were not used
    for longest, until those left fit into `max_bytes`.

    Args:
      folder: The folder, which is made if needed; '' keeps nothing. If None, it is the folder that
        JAX_COMPILATION_CACHE_DIR in the environment names, from which nothing is removed, or else
        `default_folder()`, if that can be written.
      max_bytes: The most bytes of the programs that stay in the folder.

    Returns:
      The folder; None if nothing is kept.

    Raises:
      OutputError: The folder that was given cannot be written.
    """
    import jax

    if folder is None:
        if known := jax.config.values['jax_compilation_cache_dir']:
            return Path(known)
        if sys.platform == 'darwin' and jax.version.__version_info__ < (0, 10):
            return None  # loading such a program could crash there
    elif not folder:
        jax.config.update('jax_compilation_cache_dir', None)
        return None
    target = Path(folder) if folder else default_folder()
    try:
        make_folder(target)
    except OutputError as error:
        if folder:
            raise
        logging.info('what is compiled is not kept: %s', error)  # a default may fail silently
        return None
    _remove_oldest(target, max_bytes)
    jax.config.update('jax_compilation_cache_dir', str(target.absolute()))
    warnings.showwarning = _without_failures(target, warnings.showwarning)
    return target


def keep_later(folder: str | None) -> None:
    """Has `keep_as_planned` call `keep_compiled` with this folder: JAX may turn out not needed."""
    _planned.append(folder)


def keep_as_planned() -> None:
    """Does what `keep_later` put off, if anything; it is called before JAX compiles a network."""
    while _planned:
        keep_compiled(_planned.pop())


def _remove_oldest(folder: Path, max_bytes: int) -> None:
    """Removes the files that were not used for longest until the rest fits into `max_bytes`."""
    found = []
    for path in folder.glob('*-cache'):
        with contextlib.suppress(OSError):  # another process removed it
            status = path.stat()
            # Some systems do not record when a file was read.
            found.append((max(status.st_atime, status.st_mtime), path, status.st_size))
    total = sum(size for _, _, size in found)
    for _, path, size in sorted(found):
        if total <= max_bytes:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


def _without_failures(folder: Path, show: Callable[..., None]) -> Callable[..., None]:
    """Wraps `warnings.showwarning` to remove damaged files, so that JAX writes them anew.

    A process that ends while JAX writes, or a full disk, leaves such a file. JAX warns and compiles
    the program again each time that it finds the file, but never replaces it. That nothing can be
    written is told once.
    """
    told = False

    def show_warning(message: Warning | str, *args: object, **kwargs: object) -> None:
        nonlocal told
        failed = _FAILED.match(str(message))
        if failed is None:
            show(message, *args, **kwargs)
            return
        task, program, reason = failed.groups()
        for path in folder.glob(f'{program}-*-cache'):
            with contextlib.suppress(OSError):
                path.unlink()
        if task == 'reading':
            logging.info('%s: what was kept of %s was damaged', folder, program)
        elif not told:
            told = True
            logging.warning('%s: what is compiled is not kept (%s)', folder, reason)

    return show_warning
