"""Lists the pictures in a folder, and finds files whose names differ only in Unicode form."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mattingjax.errors import ImageError

_NAMED = 4  # extensions that `describe_others` names; those of all other files are summed up
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
        '.heic',
        '.heif',
        '.hif',
    ]
)


class FolderContent(NamedTuple):
    """The files in a folder and below it, sorted.

    Attributes:
      images: Files with the extension of a picture format that can be read.
      others: All other files; `describe_others` counts them for a message.
    """

    images: list[Path]
    others: list[Path]


def list_folder(folder: Path, leave_out: Path | None = None) -> FolderContent:
    """Lists the files in a folder and below it, except hidden files and folders.

    Args:
      folder: The folder to search.
      leave_out: A folder that is not searched, such as the one for results.

    Raises:
      ImageError: A folder cannot be read; the message names it.
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


def find_images(folder: Path) -> list[Path]:
    """Lists the pictures in a folder and below it, as `list_folder` does."""
    return list_folder(folder).images


def describe_others(others: Iterable[Path]) -> str:
    """Counts files of unknown formats by extension, the most frequent first: '3 .mov, 1 .doc'.

    Args:
      others: The paths of the files.

    Returns:
      The counts of the four most frequent extensions and of all others together; '' without files.
    """
    counts = Counter(path.suffix.lower() or 'without extension' for path in others)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f'{count} {suffix}' for suffix, count in ordered[:_NAMED]]
    if rest := sum(count for _, count in ordered[_NAMED:]):
        named.append(f'{rest} of other kinds')
    return ', '.join(named)


def name_key(name: str) -> str:
    """The form in which names are compared: macOS writes é as two characters, others as one (NFC).

    Args:
      name: The name of a file, or a path.
    """
    return unicodedata.normalize('NFC', name)


def find_path(path: Path) -> Path:
    """Finds the file or folder that a path in a list means.

    Args:
      path: The path as the list writes it.

    Returns:
      The path itself if it exists; else an existing path whose parts have the same `name_key`; else
      the path itself.
    """
    if os.path.lexists(path) or path.parent == path:
        return path
    parent = find_path(path.parent)
    names = (unicodedata.normalize(form, path.name) for form in ('NFC', 'NFD'))
    return next((parent / name for name in names if os.path.lexists(parent / name)), path)
