"""Datasets by the name of their layout, several as one, and what exactly they consist of.

Every dataset is a `Dataset`; reading a record may raise `RecordError`.
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mattingjax.data.csv_list import open_csv
from mattingjax.data.folders import FileDataset, open_cutouts, open_images, open_pairs
from mattingjax.data.records import Dataset, Record, RecordError
from mattingjax.data.synthetic import SyntheticPortraits
from mattingjax.errors import MattingError
from mattingjax.files import hash_file

__all__ = [
    'KINDS',
    'ConcatDataset',
    'Dataset',
    'FileDataset',
    'Record',
    'RecordError',
    'SyntheticPortraits',
    'create_manifest',
    'open_dataset',
]

# Folders of images and alphas below ROOT/SPLIT.
LAYOUTS = {'mmnet': ('image', 'mask'), 'ppm100': ('fg', 'alpha')}
# What lies in one folder or file.
_OPENERS = {'rgba': open_cutouts, 'csv': open_csv}
KINDS = (*LAYOUTS, 'folders', *_OPENERS, 'unlabelled', 'synthetic')


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
    """Opens a dataset; options that its kind does not know are passed over.

    Args:
      kind: What lies where:
        'mmnet': `ROOT/SPLIT/image` and `ROOT/SPLIT/mask`.
        'ppm100': `ROOT/SPLIT/fg` and `ROOT/SPLIT/alpha`.
        'folders': the folders `images` and `alphas`.
        'rgba': cut-outs, transparent pictures in the folder `root`: records without `image`.
        'csv': the file `root` with columns `image` and `alpha`, paths relative to it.
        'unlabelled': pictures in the folder `root`: records without `alpha`.
        'synthetic': see `SyntheticPortraits`.
      root: Folder or CSV file.
      split: Folder of the layouts: 'train', 'test', 'val' or another.
      images: Folder of the images, relative to `root`.
      alphas: Folder of the alphas, likewise.
      allow_unmatched: Whether what has no counterpart is left out with a warning, and no error.
      alpha_values: What the alphas' numbers mean; see
        `mattingjax.data.alpha_values.parse_alpha_values`.
      count: Number of synthetic portraits.
      size: Their side in pixels.
      seed: Which ones.

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
    if kind in _OPENERS:
        return _OPENERS[kind](root, alpha_values)
    if kind in LAYOUTS:
        root /= split
        images, alphas = LAYOUTS[kind]
    return open_pairs(root / images, root / alphas, allow_unmatched, alpha_values)


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
    """Whether any record lacks an alpha, and whether any is a cut-out without a background."""
    if isinstance(dataset, ConcatDataset):
        parts = [describe_records(part) for part in dataset.parts]
        lacks_alpha, has_cutouts = (any(found) for found in zip(*parts, strict=True))
        return lacks_alpha, has_cutouts
    entries = dataset.entries if isinstance(dataset, FileDataset) else ()
    kinds = [entry.files.keys() for entry in entries]
    lacks_alpha = any(not files & {'alpha', 'foreground'} for files in kinds)
    return lacks_alpha, any('foreground' in files and 'background' not in files for files in kinds)


def create_manifest(dataset: Dataset) -> dict[str, Any]:
    """What a dataset consists of, so that a run can be repeated on the same data.

    Args:
      dataset: Of this module.

    Returns:
      JSON types: `kind` and number of `records`; of files their common folder `root`, the `sha256`
      of each and `digest`, one of all of them, their names and the order in which they make
      records, which does not depend on `root`.

    Raises:
      MattingError: A file cannot be read, or the dataset is of no known class.
    """
    if isinstance(dataset, ConcatDataset):
        parts = [create_manifest(part) for part in dataset.parts]
        return {'kind': 'concat', 'records': len(dataset), 'parts': parts}
    if isinstance(dataset, SyntheticPortraits):
        return {'kind': 'synthetic', 'records': len(dataset), **dataset.describe()}
    if isinstance(dataset, FileDataset):
        return {'kind': 'files', 'records': len(dataset), **_hash_files(dataset)}
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
