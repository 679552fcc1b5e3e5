"""SHA256SUMS: what every file of a folder was when it was written, as `sha256sum -c` reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mattingjax.errors import list_some
from mattingjax.process.reading import hash_file, read_file

SUMS_FILE = 'SHA256SUMS'
_MOST_BYTES = 2**24  # of the list: that of a network has a few kB
_LINE = re.compile(r'(\\?)([0-9a-f]{64}) [ *](.+)')
_ESCAPES = {'\\': '\\\\', '\n': '\\n', '\r': '\\r'}
_UNESCAPED = {escaped: plain for plain, escaped in _ESCAPES.items()}


def write_checksums(folder: Path, leave_out: Iterable[str] = ()) -> None:
    """Lists every file below a folder with its SHA-256 in the folder's SHA256SUMS.

    Args:
      folder: The folder, which nothing else writes to.
      leave_out: Names of files in the folder itself that are not listed: they may change.

    Raises:
      OSError: A file cannot be read, or the list cannot be written.
    """
    names = _find_files(folder) - {SUMS_FILE, *leave_out}
    lines = [_format(name, hash_file(folder / name)) for name in sorted(names)]
    (folder / SUMS_FILE).write_bytes(''.join(lines).encode(errors='surrogateescape'))


def find_damage(folder: Path, only: str | None = None) -> str | None:
    """Compares the files of a folder with its SHA256SUMS.

    Links are followed: what counts is the content. Files that are not listed are damage in folders
    below this one alone, and only if they are not hidden: people put notes beside what is listed,
    and file managers their own anywhere.

    Args:
      folder: The folder.
      only: The one listed file that is looked at; all if None.

    Returns:
      What is damaged, in words that name the file and both hashes; None if nothing is, or if the
      folder has no SHA256SUMS, as those that earlier versions wrote have none.
    """
    if not os.path.lexists(folder / SUMS_FILE):
        return None
    try:
        expected = _read_sums(folder / SUMS_FILE)
        if only is not None and only not in expected:
            return f'not listed in {SUMS_FILE}: {only}'
        if only is not None:
            expected = {only: expected[only]}
        if missing := sorted(name for name in expected if not (folder / name).is_file()):
            return f'missing: {list_some(missing)}'
        for name, digest in expected.items():
            if (found := hash_file(folder / name)) != digest:
                return f'{name}: expected SHA-256 {digest:.12}…, found {found:.12}…'
        found_names = set() if only is not None else _find_files(folder)
    except OSError as error:
        name = os.path.relpath(error.filename or folder / SUMS_FILE, folder)
        return f'{name}: cannot be read ({error.strerror or error})'
    except ValueError as error:
        return str(error)
    strange = sorted(filter(_is_foreign, found_names - expected.keys()))
    return f'not listed in {SUMS_FILE}: {list_some(strange)}' if strange else None


def _is_foreign(name: str) -> bool:
    """Whether nobody but the writer of a folder would put a file there."""
    path = PurePosixPath(name)
    return len(path.parts) > 1 and not path.name.startswith('.')


def _find_files(folder: Path) -> set[str]:
    """The files below a folder, by their paths in it; folders that are links are left out."""
    return {
        (Path(parent, name).relative_to(folder)).as_posix()
        for parent, _, names in os.walk(folder)
        for name in names
        if Path(parent, name).is_file()
    }


def _format(name: str, digest: str) -> str:
    escaped = ''.join(_ESCAPES.get(character, character) for character in name)
    mark = '\\' if escaped != name else ''
    return f'{mark}{digest}  {escaped}\n'


def _read_sums(path: Path) -> dict[str, str]:
    """Name → SHA-256; raises ValueError if the file is no such list, or names what lies outside."""
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise ValueError(f'{SUMS_FILE}: expected at most {_MOST_BYTES} bytes, found {size}')
    sums: dict[str, str] = {}
    *lines, rest = read_file(path).decode(errors='surrogateescape').split('\n')
    if rest:
        raise ValueError(f'{SUMS_FILE}: expected lines, the last one ends within: {rest!r:.80}')
    for line in lines:
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise ValueError(f'{SUMS_FILE}: expected lines of a SHA-256 and a name, got {line!r}')
        name = parts[3]
        if parts[1]:
            name = re.sub(r'\\.', lambda found: _UNESCAPED.get(found[0], found[0]), name)
        pure = PurePosixPath(name)
        if pure.is_absolute() or '..' in pure.parts or str(pure) != name or name in sums:
            raise ValueError(f'{SUMS_FILE}: expected each file below it once, got {name!r:.80}')
        sums[name] = parts[2]
    return sums
