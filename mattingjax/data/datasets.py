"""Datasets opened by the name of their layout, several as one, and the manifest of a dataset.

Every dataset is a `Dataset`; reading a record may raise `RecordError`.
"""

from __future__ import annotations

import bisect
import csv
import dataclasses
import hashlib
import io
import itertools
import os
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any

from mattingjax.data.folders import FileDataset, open_cutouts, open_entries, open_images, open_pairs
from mattingjax.data.packed import PackedDataset, is_packed, open_packed
from mattingjax.data.records import Dataset, PhotoFiles, Record, RecordError
from mattingjax.data.synthetic import SyntheticPortraits
from mattingjax.errors import MattingError, list_some
from mattingjax.images import find_path, name_key
from mattingjax.process.reading import hash_file, read_file

__all__ = [
    'KINDS',
    'ConcatDataset',
    'Dataset',
    'FileDataset',
    'PackedDataset',
    'Record',
    'RecordError',
    'SyntheticPortraits',
    'create_manifest',
    'describe_records',
    'open_backgrounds',
    'open_csv',
    'open_dataset',
]

# The folders of images and alphas below ROOT/SPLIT.
LAYOUTS = {'mmnet': ('image', 'mask'), 'ppm100': ('fg', 'alpha')}
KINDS = (*LAYOUTS, 'folders', 'rgba', 'csv', 'unlabelled', 'packed', 'synthetic')


def open_dataset(
    kind: str,
    root: str | os.PathLike = '',
    *,
    split: str = 'train',
    images: str = 'image',
    alphas: str = 'alpha',
    allow_unmatched: bool = False,
    alpha_values: str = 'auto',
    count: int = 1000,
    size: int = 512,
    seed: int = 0,
) -> Dataset:
    """Opens a dataset; arguments that do not concern its kind are ignored.

    Args:
      kind: The layout of the dataset:
        'mmnet': images in `ROOT/SPLIT/image`, alphas in `ROOT/SPLIT/mask`.
        'ppm100': images in `ROOT/SPLIT/fg`, alphas in `ROOT/SPLIT/alpha`.
        'folders': images and alphas in the folders `images` and `alphas`.
        'rgba': cut-outs, that is transparent pictures, in the folder `root`: records without
          `image`.
        'csv': a CSV file `root` that lists the files, as `open_csv` reads it.
        'unlabelled': pictures in the folder `root`: records without `alpha`.
        'packed': a part of a pack in the folder `root`, as `packed.open_packed` opens it.
        'synthetic': `SyntheticPortraits` of `count`, `size` and `seed`.
      root: The dataset's folder or CSV file.
      split: The sub-folder of 'mmnet' and 'ppm100': 'train', 'test', 'val' or another.
      images: The folder of images of 'folders', relative to `root`.
      alphas: The folder of alphas of 'folders', relative to `root`.
      allow_unmatched: Whether an image without an alpha, or an alpha without an image, is left out
        with a warning instead of being an error.
      alpha_values: What the numbers in alpha files mean, as `alpha_values.parse_alpha_values`
        reads it.
      count: Number of synthetic portraits.
      size: Side of the synthetic portraits in pixels.
      seed: Random seed of the synthetic portraits.

    Raises:
      MattingError: The kind is unknown, a folder or file is missing or holds nothing, images and
        alphas do not match, or the alphas' numbers do not tell what they mean.
    """
    if kind not in KINDS:
        raise MattingError(f'kind: expected one of {", ".join(KINDS)}, got {kind!r}')
    if kind == 'synthetic':
        return SyntheticPortraits(count, size, seed)
    if not str(root) and kind != 'folders':
        raise MattingError(f'root: expected where the {kind} dataset lies, got nothing')
    root = Path(root)
    if kind == 'unlabelled':
        return open_images(root)
    if kind == 'rgba':
        return open_cutouts(root, alpha_values)
    if kind == 'packed':
        return open_packed(root)
    if kind == 'csv':
        return open_csv(root, alpha_values)
    if kind in LAYOUTS:
        root /= split
        images, alphas = LAYOUTS[kind]
    return open_pairs(root / images, root / alphas, allow_unmatched, alpha_values)


def open_backgrounds(root: str | os.PathLike) -> Dataset:
    """Opens pictures for new compositions.

    Args:
      root: A folder of pictures, or a part of a pack.

    Raises:
      MattingError: The folder is missing or holds no picture, or the part is damaged or holds
        cut-outs.
    """
    if not is_packed(Path(root)):
        return open_images(Path(root))
    dataset = open_packed(Path(root))
    if 'image' not in dataset.contents:
        raise MattingError(f'{root}: expected pictures, found cut-outs')
    return dataset


def open_csv(path: Path, alpha_values: str = 'auto') -> FileDataset:
    """Reads a list with a header line: columns `image` and, unless unlabelled, `alpha`.

    Paths are relative to the CSV file. Other columns are ignored. Records come in the order of the
    lines and have the names of the images.

    Args:
      path: A CSV file, comma-separated, UTF-8.
      alpha_values: What the numbers in alpha files mean, as `alpha_values.parse_alpha_values`
        reads it.

    Raises:
      MattingError: The file cannot be read, has no column `image` or no line, a line lacks a value,
        files are missing, or the alphas' numbers do not tell what they mean.
    """
    try:
        with io.StringIO(read_file(path).decode('utf-8-sig'), newline='') as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if 'image' not in columns:
                found = list_some(columns) or 'nothing'
                raise MattingError(f'{path}: expected columns image and alpha, found {found}')
            has_alpha = 'alpha' in columns
            entries = tuple(_read_line(row, reader, has_alpha, path) for row in reader)
    except OSError as error:
        raise MattingError(f'{path}: cannot be read ({error.strerror})') from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MattingError(f'{path}: expected a CSV file in UTF-8 ({error})') from error
    if not entries:
        raise MattingError(f'{path}: lists no image')
    missing = [
        file for entry in entries for file in entry.files.values() if not os.path.isfile(file)
    ]
    if missing:
        raise MattingError(f'{path}: {len(missing)} files are missing ({list_some(missing)})')
    return open_entries(entries, alpha_values)


def _read_line(row: dict, reader: csv.DictReader, has_alpha: bool, path: Path) -> PhotoFiles:
    files = {}
    for column in ('image', 'alpha') if has_alpha else ('image',):
        if not row[column]:
            raise MattingError(f'{path}: line {reader.line_num} has no {column}')
        files[column] = find_path(path.parent / row[column])
    return PhotoFiles(name_key(files['image'].stem), files)


@dataclasses.dataclass(frozen=True)
class ConcatDataset:
    """Several datasets, one after another."""

    parts: tuple[Dataset, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: int) -> Record:
        index = range(len(self))[index]
        ends = list(itertools.accumulate(map(len, self.parts)))
        part = bisect.bisect_right(ends, index)
        return self.parts[part][index - (ends[part - 1] if part else 0)]


def describe_records(dataset: Dataset) -> tuple[bool, bool]:
    """Tells whether any record lacks an alpha, and whether any is a cut-out without a background.

    Args:
      dataset: Any dataset of this package.
    """
    if isinstance(dataset, ConcatDataset):
        parts = [describe_records(part) for part in dataset.parts]
        lacks_alpha, has_cutouts = (any(found) for found in zip(*parts, strict=True))
        return lacks_alpha, has_cutouts
    kinds: list[Set[str]] = []
    if isinstance(dataset, FileDataset):
        kinds = [entry.files.keys() for entry in dataset.entries]
    elif isinstance(dataset, PackedDataset):
        kinds = [set(dataset.contents)]
    lacks_alpha = any(not files & {'alpha', 'foreground'} for files in kinds)
    return lacks_alpha, any('foreground' in files and 'background' not in files for files in kinds)


def create_manifest(dataset: Dataset) -> dict[str, Any]:
    """Describes a dataset so that a training can be repeated on the same data.

    Args:
      dataset: Any dataset of this package.

    Returns:
      JSON types: `kind` and the number of `records`; for datasets of files and packed ones also
      their common folder `root`, the `sha256` of each file, and a `digest` of all hashes, names and
      the order of the records, which does not depend on `root`.

    Raises:
      MattingError: A file cannot be read, a packed one is not what was packed, or the dataset is
        of no known class.
    """
    if isinstance(dataset, ConcatDataset):
        parts = [create_manifest(part) for part in dataset.parts]
        return {'kind': 'concat', 'records': len(dataset), 'parts': parts}
    if isinstance(dataset, SyntheticPortraits):
        return {'kind': 'synthetic', 'records': len(dataset), **dataset.describe()}
    if isinstance(dataset, FileDataset):
        return {'kind': 'files', 'records': len(dataset), **_hash_files(dataset)}
    if isinstance(dataset, PackedDataset):
        return {'kind': 'packed', 'records': len(dataset), **dataset.describe()}
    raise MattingError(f'dataset: expected one of this package, got {type(dataset).__name__}')


def _hash_files(dataset: FileDataset) -> dict[str, Any]:
    files = sorted({file for entry in dataset.entries for file in entry.files.values()})
    root = Path(os.path.commonpath([file.absolute().parent for file in files]))
    hashes = {}
    for file in files:
        try:
            (name,) = _names_below(root, [file])
            hashes[name] = hash_file(file)
        except OSError as error:
            raise MattingError(f'{file}: cannot be read ({error.strerror})') from error
    listed = '\n'.join(
        '  '.join(f'{hashes[name]} {name}' for name in _names_below(root, entry.files.values()))
        for entry in dataset.entries
    )
    digest = hashlib.sha256(listed.encode(errors='surrogateescape')).hexdigest()
    return {'root': str(root), 'digest': digest, 'sha256': hashes}


def _names_below(root: Path, files: Iterable[Path]) -> list[str]:
    return [file.absolute().relative_to(root).as_posix() for file in files]
