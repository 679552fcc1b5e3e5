"""Datasets that lie in files: images, their alphas beside them, or transparent cut-outs."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import logging

from mattingjax.data.alpha_files import TRUE_ALPHAS, AlphaReader, create_alpha_reader
from mattingjax.data.records import Record, RecordError
from mattingjax.errors import ImageError, MattingError
from mattingjax.images import describe_others, list_folder, load_image, name_key, read_size


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

    Attributes:
      entries: The records' files.
      alphas: How the alphas among them are read.
    """

    entries: tuple[Entry, ...]
    alphas: AlphaReader = TRUE_ALPHAS

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Record:
        """Reads a record.

        Raises:
          RecordError: A file is missing or damaged, image and alpha differ in size, or the alpha
            does not tell how to read it.
        """
        entry = self.entries[index]
        try:
            return self._read(entry)
        except ImageError as error:
            raise RecordError(str(error)) from error

    def __repr__(self) -> str:
        # The folder may have moved since.
        names = '\n'.join(file.name for entry in self.entries for file in entry.files)
        digest = hashlib.sha256(names.encode(errors='surrogateescape')).hexdigest()
        return f'FileDataset({len(self)} records, names {digest[:12]})'

    def _read(self, entry: Entry) -> Record:
        if entry.cutout is not None:
            foreground, alpha = self.alphas.load_cutout(entry.cutout)
            return {'name': entry.name, 'foreground': foreground, 'alpha': alpha}
        assert entry.image is not None
        if entry.alpha is None:
            return {'name': entry.name, 'image': load_image(entry.image)}
        check_size(entry.alpha, read_size(entry.alpha), entry.image, read_size(entry.image))
        return {
            'name': entry.name,
            'image': load_image(entry.image),
            'alpha': self.alphas.load(entry.alpha),
        }


def check_size(path: Path, size: tuple[int, int], other: Path, expected: tuple[int, int]) -> None:
    """Raises ImageError unless a picture has the size (height, width) of the other."""
    if size != expected:
        found, wanted = (f'{width}x{height}' for height, width in (size, expected))
        raise ImageError(f'{path}: expected the size of {other}, {wanted}, got {found}')


def open_images(folder: Path) -> FileDataset:
    """Every picture in a folder and below it, without alphas: unlabelled photos, or backgrounds.

    Raises:
      MattingError: The folder is missing or holds no picture.
    """
    return FileDataset(
        tuple(Entry(_path_below(path, folder), image=path) for path in _find(folder))
    )


def open_cutouts(folder: Path, alpha_values: str = 'auto') -> FileDataset:
    """Every picture in a folder and below it as a cut-out: its colours and its transparency.

    Args:
      folder: Where they lie.
      alpha_values: What the transparency's numbers mean; see
        `mattingjax.data.alpha_values.parse_alpha_values`.

    Raises:
      MattingError: The folder is missing or holds no picture, or the numbers do not tell what they
        mean.
    """
    paths = _find(folder)
    entries = tuple(Entry(_path_below(path, folder), cutout=path) for path in paths)
    return FileDataset(entries, create_alpha_reader(paths, alpha_values, cutouts=True))


def open_pairs(
    images: Path, alphas: Path, allow_unmatched: bool = False, alpha_values: str = 'auto'
) -> FileDataset:
    """Images and alphas of the same names; see `match_pairs`.

    Args:
      images: Folder of the images.
      alphas: Folder of their alphas.
      allow_unmatched: Whether a picture without its counterpart is left out, with a warning,
        instead of being an error.
      alpha_values: What the alphas' numbers mean; see
        `mattingjax.data.alpha_values.parse_alpha_values`.

    Raises:
      MattingError: The folders do not match, or the alphas' numbers do not tell what they mean.
    """
    entries = match_pairs(images, alphas, allow_unmatched)
    return open_entries(entries, alpha_values)


def open_entries(entries: Sequence[Entry], alpha_values: str = 'auto') -> FileDataset:
    """The dataset of such records; see `open_pairs`."""
    paths = [entry.alpha for entry in entries if entry.alpha is not None]
    return FileDataset(tuple(entries), create_alpha_reader(paths, alpha_values))


def match_pairs(images: Path, alphas: Path, allow_unmatched: bool = False) -> list[Entry]:
    """Images and alphas of the same names, extensions aside; both folders with all below them.

    Names are those of the files; where two files of a folder share one, the path below the folder.

    Args:
      images: Folder of the images.
      alphas: Folder of their alphas.
      allow_unmatched: See `open_pairs`.

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
    return [Entry(name, first[name], second[name]) for name in both]


def describe_clash(path: Path, other: Path) -> str:
    """The line about two pictures that have one name."""
    aside = 'extensions aside'
    if name_key(path.stem) == name_key(other.stem) and path.stem != other.stem:
        aside = 'extensions and how Unicode composes letters aside'
    return f'{path}: has the name of {other}, {aside}'


def list_some(items: Iterable[object], limit: int = 3) -> str:
    """The first few of many, for a message of one line."""
    names = [str(item) for item in items]
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def _find(folder: Path, leave_out: Path | None = None) -> list[Path]:
    if not os.path.isdir(folder):
        found = 'a file' if os.path.exists(folder) else 'nothing'
        raise MattingError(f'{folder}: expected a folder of pictures, found {found}')
    paths, others = list_folder(folder, leave_out)
    if not paths:
        found = f' in a format that can be read ({describe_others(others)})' if others else ''
        raise MattingError(f'{folder}: holds no picture{found}')
    return paths


def _path_below(path: Path, folder: Path) -> str:
    return name_key(path.relative_to(folder).with_suffix('').as_posix())


def _repeats(paths: list[Path]) -> bool:
    return len({name_key(path.stem) for path in paths}) < len(paths)


def _by_name(paths: list[Path], folder: Path, by_path: bool) -> dict[str, Path]:
    named = collections.defaultdict(list)
    for path in paths:
        named[_path_below(path, folder) if by_path else name_key(path.stem)].append(path)
    for same in named.values():
        if len(same) > 1:
            raise MattingError(describe_clash(same[1], same[0]))
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
