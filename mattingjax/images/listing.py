"""Which pictures a folder holds, and which names mean one file."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mattingjax.errors import ImageError

EXTENSIONS = frozenset(
    [
        '.jpg',
        '.jpeg',
        '.jpe',
        '.jfif',
        '.png',
        '.webp',
        '.tif',
        '.tiff',
        '.bmp',
        '.gif',
        '.avif',
        '.ppm',
    ]
)


class FolderContent(NamedTuple):
    """What lies in a folder and below it, sorted.

    Attributes:
      images: Files whose extension is that of a picture format that can be read.
      others: All other files; `describe_others` makes a line of them.
    """

    images: list[Path]
    others: list[Path]


def list_folder(folder: Path, leave_out: Path | None = None) -> FolderContent:
    """The files in a folder and below it; hidden files and folders are passed over.

    Args:
      folder: Where to look.
      leave_out: A folder that is not entered (where the results go, say).

    Raises:
      ImageError: A folder cannot be read; it is named.
    """

    def stop(error: OSError) -> None:
        raise ImageError(f'{error.filename}: cannot be read ({error.strerror})') from error

    images: list[Path] = []
    others: list[Path] = []
    skipped = os.path.realpath(leave_out) if leave_out else None
    for root, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [
            name
            for name in folders
            if not name.startswith('.') and os.path.realpath(os.path.join(root, name)) != skipped
        ]
        for path in (Path(root, name) for name in files if not name.startswith('.')):
            if path.is_file():
                (images if path.suffix.lower() in EXTENSIONS else others).append(path)
    return FolderContent(sorted(images), sorted(others))


def find_images(folder: Path, leave_out: Path | None = None) -> list[Path]:
    """The pictures in a folder and below it; see `list_folder`."""
    return list_folder(folder, leave_out).images


def describe_others(others: Iterable[Path], limit: int = 4) -> str:
    """Files of unknown formats counted by extension: '3 .heic, 1 .mp4', the most frequent first.

    Args:
      others: Their paths.
      limit: How many extensions are named; the files of all others are counted together.

    Returns:
      A part of a line; empty if there is no file.
    """
    counts = Counter(path.suffix.lower() or 'without extension' for path in others)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f'{count} {suffix}' for suffix, count in ordered[:limit]]
    if rest := sum(count for _, count in ordered[limit:]):
        named.append(f'{rest} of other kinds')
    return ', '.join(named)


def name_key(name: str) -> str:
    """A name as names are compared: macOS writes é as two characters, others as one (NFC)."""
    return unicodedata.normalize('NFC', name)


def find_path(path: Path) -> Path:
    """The file or folder that a path from a list means.

    Args:
      path: As it is written in the list.

    Returns:
      The path itself if something lies there; else one whose parts have the same `name_key`; if
      there is none either, the path itself.
    """
    if os.path.lexists(path) or path.parent == path:
        return path
    parent = find_path(path.parent)
    names = (unicodedata.normalize(form, path.name) for form in ('NFC', 'NFD'))
    return next((parent / name for name in names if os.path.lexists(parent / name)), path)
