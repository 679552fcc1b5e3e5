"""Datasets that lie in files: images, their alphas beside them, or transparent cut-outs."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from absl import logging

from mattingjax.data.alpha_files import load_alpha, load_cutout
from mattingjax.data.records import Record, RecordError
from mattingjax.errors import ImageError, MattingError
from mattingjax.images import find_images, load_image, read_size


class Entry(NamedTuple):
    """The files of one record: an image with or without its alpha, or a cut-out."""

    name: str
    image: Path | None = None
    alpha: Path | None = None
    cutout: Path | None = None

    @property
    def files(self) -> list[Path]:
        return [path for path in self[1:] if path is not None]


@dataclasses.dataclass(frozen=True, repr=False)
class FileDataset:
    """Records that lie in files, opened when they are asked for.

    A record has `image`, and `alpha` where one is known; one of a cut-out has `foreground` and
    `alpha` and no `image`.
    """

    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Record:
        """Reads a record.

        Raises:
          RecordError: A file is missing or damaged, or image and alpha differ in size.
        """
        entry = self.entries[index]
        try:
            return _read(entry)
        except ImageError as error:
            raise RecordError(str(error)) from error

    def __repr__(self) -> str:
        # The folder may have moved since.
        names = '\n'.join(file.name for entry in self.entries for file in entry.files)
        digest = hashlib.sha256(names.encode(errors='surrogateescape')).hexdigest()
        return f'FileDataset({len(self)} records, names {digest[:12]})'


def _read(entry: Entry) -> Record:
    if entry.cutout is not None:
        foreground, alpha = load_cutout(entry.cutout)
        return {'name': entry.name, 'foreground': foreground, 'alpha': alpha}
    assert entry.image is not None
    if entry.alpha is None:
        return {'name': entry.name, 'image': load_image(entry.image)}
    image_size, alpha_size = read_size(entry.image), read_size(entry.alpha)
    if image_size != alpha_size:
        wanted, found = (f'{width}x{height}' for height, width in (image_size, alpha_size))
        raise ImageError(
            f'{entry.alpha}: expected the size of {entry.image}, {wanted}, got {found}'
        )
    return {
        'name': entry.name,
        'image': load_image(entry.image),
        'alpha': load_alpha(entry.alpha),
    }


def open_images(folder: Path) -> FileDataset:
    """Every picture in a folder and below it, without alphas: unlabelled photos, or backgrounds.

    Raises:
      MattingError: The folder is missing or holds no picture.
    """
    return FileDataset(
        tuple(Entry(_path_below(path, folder), image=path) for path in _find(folder))
    )


def open_cutouts(folder: Path) -> FileDataset:
    """Every picture in a folder and below it as a cut-out: its colours and its transparency.

    Raises:
      MattingError: The folder is missing or holds no picture.
    """
    return FileDataset(
        tuple(Entry(_path_below(path, folder), cutout=path) for path in _find(folder))
    )


def open_pairs(images: Path, alphas: Path, allow_unmatched: bool = False) -> FileDataset:
    """Images and alphas of the same names, extensions aside; both folders with all below them.

    Names are those of the files; where two files of a folder share one, the path below the folder.

    Args:
      images: Folder of the images.
      alphas: Folder of their alphas.
      allow_unmatched: Whether a picture without its counterpart is left out, with a warning,
        instead of being an error.

    Raises:
      MattingError: A folder is missing or holds no picture, two pictures have one name, or a
        picture has no counterpart.
    """
    image_files, alpha_files = _find(images, alphas), _find(alphas, images)
    by_path = _repeats(image_files) or _repeats(alpha_files)
    first = _by_name(image_files, images, by_path)
    second = _by_name(alpha_files, alphas, by_path)
    unmatched = _describe_unmatched(images, alphas, first, second)
    both = sorted(first.keys() & second.keys())
    if unmatched and not (allow_unmatched and both):
        raise MattingError(unmatched)
    if unmatched:
        logging.warning('left out: %s', unmatched)
    return FileDataset(tuple(Entry(name, first[name], second[name]) for name in both))


def list_some(items: Iterable[object], limit: int = 3) -> str:
    """The first few of many, for a message of one line."""
    names = [str(item) for item in items]
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def _find(folder: Path, leave_out: Path | None = None) -> list[Path]:
    if not folder.is_dir():
        found = 'a file' if folder.exists() else 'nothing'
        raise MattingError(f'{folder}: expected a folder of pictures, found {found}')
    paths = find_images(folder, leave_out)
    if not paths:
        raise MattingError(f'{folder}: holds no picture')
    return paths


def _path_below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix('').as_posix()


def _repeats(paths: list[Path]) -> bool:
    return len({path.stem for path in paths}) < len(paths)


def _by_name(paths: list[Path], folder: Path, by_path: bool) -> dict[str, Path]:
    named = collections.defaultdict(list)
    for path in paths:
        named[_path_below(path, folder) if by_path else path.stem].append(path)
    for same in named.values():
        if len(same) > 1:
            raise MattingError(f'{same[1]}: has the name of {same[0]}, extensions aside')
    return {name: same[0] for name, same in named.items()}


def _describe_unmatched(
    images: Path, alphas: Path, first: dict[str, Path], second: dict[str, Path]
) -> str:
    """One line about what has no counterpart; empty if everything has."""
    parts = []
    for kind, other, folder, own, others in (
        ('images', 'alpha', images, first, second),
        ('alphas', 'image', alphas, second, first),
    ):
        lonely = sorted(own.keys() - others.keys())
        if lonely:
            some = list_some(own[name].relative_to(folder) for name in lonely)
            parts.append(f'{folder}: {len(lonely)} of {len(own)} {kind} without {other} ({some})')
    return '; '.join(parts)
