"""Datasets of files: images with or without alphas, and transparent cut-outs."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from mattingjax.data.alpha_files import (
    PREDICTIONS,
    TRUE_ALPHAS,
    AlphaReader,
    create_alpha_reader,
    load_trimap,
)
from mattingjax.data.records import PhotoFiles, Record, RecordError
from mattingjax.errors import ImageError, MattingError, list_some
from mattingjax.images import describe_others, list_folder, load_srgb, name_key, read_size
from mattingjax.images.compositing import Background, composite


@dataclasses.dataclass(frozen=True, repr=False)
class FileDataset:
    """A dataset of files, which are opened when their record is asked for.

    A record has a `name` and, as far as there are files, `image`, `alpha`, `pred_alpha` (float32
    [H, W] in [0, 1]) and `trimap` (float32 [H, W] of 0, 0.5 and 1). A cut-out has `foreground` and
    `alpha`, or `image` and `alpha` if it has a background.

    Attributes:
      entries: The files of each record.
      alphas: Reads the true alphas, also those of cut-outs.
      predictions: Reads the predicted alphas.
    """

    entries: tuple[PhotoFiles, ...]
    alphas: AlphaReader = TRUE_ALPHAS
    predictions: AlphaReader = PREDICTIONS

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Record:
        """Reads a record.

        Raises:
          RecordError: A file is missing or damaged, two differ in size, or the alpha does not tell
            how to read it.
        """
        entry = self.entries[index]
        try:
            return self._read(entry)
        except ImageError as error:
            raise RecordError(str(error)) from error

    def __repr__(self) -> str:
        # Without the folders, which may have moved when a training resumes.
        names = '\n'.join(file.name for entry in self.entries for file in entry.files.values())
        digest = hashlib.sha256(names.encode(errors='surrogateescape')).hexdigest()
        return f'FileDataset({len(self)} records, names {digest[:12]})'

    def select(self, indices: Iterable[int]) -> FileDataset:
        """Makes a dataset of some of the records, in the given order."""
        return dataclasses.replace(self, entries=tuple(self.entries[i] for i in indices))

    def _read(self, entry: PhotoFiles) -> Record:
        files = entry.files
        self._check_sizes(files)
        record: Record = {'name': entry.name}
        if 'foreground' in files:
            foreground, alpha = self.alphas.load_cutout(files['foreground'])
            record['alpha'] = alpha
            if 'background' in files:
                behind = Background(str(files['background'])).of_size(*alpha.shape)
                record['image'] = composite(foreground, alpha, behind)
            else:
                record['foreground'] = foreground
        loaders: dict[str, Callable[[Path], np.ndarray]] = {
            'image': load_srgb,
            'alpha': self.alphas.load,
            'pred_alpha': self.predictions.load,
            'trimap': load_trimap,
        }
        return record | {what: load(files[what]) for what, load in loaders.items() if what in files}

    @staticmethod
    def _check_sizes(files: dict[str, Path]) -> None:
        """Raises ImageError unless all pictures but the background have the photo's size."""
        (_, photo), *others = files.items()
        for what, path in others:
            if what != 'background':
                check_size(path, read_size(path), photo, read_size(photo))


def check_size(path: Path, size: tuple[int, int], other: Path, expected: tuple[int, int]) -> None:
    """Raises ImageError unless two pictures have the same size.

    Args:
      path: The picture that the error is about.
      size: Its height and width in pixels.
      other: The picture whose size is expected.
      expected: Height and width of `other` in pixels.
    """
    if size != expected:
        found, wanted = (f'{width}x{height}' for height, width in (size, expected))
        raise ImageError(f'{path}: expected the size of {other}, {wanted}, got {found}')


def open_images(folder: Path) -> FileDataset:
    """Opens all pictures in a folder and below it as photos without alphas, or as backgrounds.

    Args:
      folder: The folder of the pictures.

    Raises:
      MattingError: The folder is missing or holds no picture.
    """
    return FileDataset(
        tuple(PhotoFiles(_path_below(path, folder), {'image': path}) for path in _find(folder))
    )


def open_cutouts(folder: Path, alpha_values: str = 'auto') -> FileDataset:
    """Opens all pictures in a folder and below it as cut-outs.

    Args:
      folder: The folder of transparent pictures.
      alpha_values: What the numbers in the transparency mean, as `alpha_values.parse_alpha_values`
        reads it.

    Raises:
      MattingError: The folder is missing or holds no picture, or the numbers do not tell what they
        mean.
    """
    paths = _find(folder)
    entries = tuple(PhotoFiles(_path_below(path, folder), {'foreground': path}) for path in paths)
    return open_entries(entries, alpha_values)


def open_pairs(
    images: Path, alphas: Path, allow_unmatched: bool = False, alpha_values: str = 'auto'
) -> FileDataset:
    """Opens images and alphas that have the same names, as `match_pairs` matches them.

    Args:
      images: Folder of the images.
      alphas: Folder of their alphas.
      allow_unmatched: Whether an image without an alpha, or an alpha without an image, is left out
        with a warning instead of being an error.
      alpha_values: What the numbers in alpha files mean, as `alpha_values.parse_alpha_values`
        reads it.

    Raises:
      MattingError: The folders do not match, or the alphas' numbers do not tell what they mean.
    """
    entries = match_pairs(images, alphas, allow_unmatched)
    return open_entries(entries, alpha_values)


def open_entries(
    entries: Sequence[PhotoFiles], alpha_values: str = 'auto', prediction_values: str = 'auto'
) -> FileDataset:
    """Opens a dataset of given files.

    Args:
      entries: The files of each record.
      alpha_values: What the numbers in true alphas mean, as `alpha_values.parse_alpha_values`
        reads it.
      prediction_values: What the numbers in predicted alphas mean; with 'auto' they are greys.

    Raises:
      MattingError: A setting is invalid, or the alphas' numbers do not tell what they mean.
    """

    def list_files(what: str) -> list[Path]:
        return [entry.files[what] for entry in entries if what in entry.files]

    cutouts = list_files('foreground')
    return FileDataset(
        tuple(entries),
        create_alpha_reader(cutouts or list_files('alpha'), alpha_values, cutouts=bool(cutouts)),
        create_alpha_reader(list_files('pred_alpha'), prediction_values, predicted=True),
    )


def match_pairs(images: Path, alphas: Path, allow_unmatched: bool = False) -> list[PhotoFiles]:
    """Matches images and alphas, in two folders and below them, by their names without extension.

    Where two files of a folder have the same name, files are matched by their paths in the folder.

    Args:
      images: Folder of the images.
      alphas: Folder of their alphas.
      allow_unmatched: Whether an image without an alpha, or an alpha without an image, is left out
        with a warning instead of being an error.

    Returns:
      The files of each record, sorted by name.

    Raises:
      MattingError: A folder is missing or holds no picture, two pictures have the same name, or a
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
    return [PhotoFiles(name, {'image': first[name], 'alpha': second[name]}) for name in both]


def describe_clash(path: Path, other: Path) -> str:
    """The error message about two pictures that have the same name."""
    aside = 'extensions aside'
    if name_key(path.stem) == name_key(other.stem) and path.stem != other.stem:
        aside = 'extensions and how Unicode composes letters aside'
    return f'{path}: has the name of {other}, {aside}'


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
    """The error message about pictures without a counterpart; '' if there are none."""
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
