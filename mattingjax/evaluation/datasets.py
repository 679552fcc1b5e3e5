"""What is evaluated: photos and alphas in folders, or cut-outs composed with backgrounds."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging

from mattingjax.compositing import Background, composite
from mattingjax.data.alpha_files import load_alpha, load_cutout
from mattingjax.data.folders import list_some, open_cutouts, open_images, open_pairs
from mattingjax.data.records import Record, RecordError
from mattingjax.errors import ImageError, MattingError
from mattingjax.images import load_image


@dataclasses.dataclass(frozen=True)
class Item:
    """The files of one record.

    Attributes:
      name: What it is called in reports.
      files: What each file is → its path: 'foreground' and 'background', or 'alpha' and, where it
        is at hand, 'image'; perhaps 'pred_alpha' and 'trimap'.
    """

    name: str
    files: dict[str, Path]


@dataclasses.dataclass(frozen=True)
class EvaluationDataset:
    """Records that lie in files, opened when they are asked for.

    A record has `name` and `alpha`, and those of `image`, `pred_alpha` (float32 [H, W] in [0, 1])
    and `trimap` (float32 [H, W] of 0, 0.5 and 1) that it has files of.
    """

    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Record:
        """Reads a record; raises RecordError where files are damaged or differ in size."""
        try:
            return _read(self.items[index])
        except ImageError as error:
            raise RecordError(str(error)) from error


def list_pairs(images: Path, alphas: Path, *, allow_unmatched: bool = False) -> list[Item]:
    """Photos and alphas of the same names; see `mattingjax.data.folders.open_pairs`."""
    entries = open_pairs(images, alphas, allow_unmatched).entries
    return [Item(e.name, dict(zip(('image', 'alpha'), e.files, strict=True))) for e in entries]


def list_alphas(alphas: Path) -> list[Item]:
    """Alphas whose photos are not at hand, with all below the folder."""
    return [Item(entry.name, {'alpha': entry.files[0]}) for entry in open_images(alphas).entries]


def list_composites(foregrounds: Path, backgrounds: Path, seed: int) -> list[Item]:
    """Cut-outs, each with a background; the alpha is the cut-out's own.

    The backgrounds, sorted and then shuffled, are dealt out in turn to the cut-outs, sorted by
    name: as many of one as of another, and the same ones on every machine. A background is cropped
    about its centre and resized to the cut-out's size.

    Args:
      foregrounds: Folder of transparent pictures, with all below it.
      backgrounds: Folder of pictures, likewise.
      seed: Of the shuffling.

    Raises:
      MattingError: A folder is missing or holds no picture.
    """
    cutouts = sorted(open_cutouts(foregrounds).entries, key=lambda entry: entry.name)
    behind = open_images(backgrounds).entries
    order = np.random.default_rng(seed).permutation(len(behind))
    items = []
    for i, entry in enumerate(cutouts):
        background = behind[order[i % len(behind)]].files[0]
        items.append(Item(entry.name, {'foreground': entry.files[0], 'background': background}))
    return items


def add_pictures(
    items: Sequence[Item], what: str, folder: Path, *, allow_unmatched: bool = False
) -> list[Item]:
    """Items with one more file each: the picture of their name.

    Args:
      items: The items.
      what: 'pred_alpha' or 'trimap'.
      folder: Where the pictures are, NAME.png or, as scripts/predict.py writes them,
        NAME_alpha.png, in the same sub-folders or in any. Others there are passed over.
      allow_unmatched: Whether items without such a picture are left out, with a warning, instead of
        being an error.

    Raises:
      MattingError: The folder is missing or holds no picture, two pictures there have the name of
        an item, or none has.
    """
    found: dict[str, list[Path]] = collections.defaultdict(list)
    for entry in open_images(folder).entries:
        path = entry.files[0]
        for name in {entry.name, path.stem}:
            found[name].append(path)
    added, lonely = [], []
    for item in items:
        paths = found.get(item.name) or found.get(f'{item.name}_alpha')
        if not paths:
            lonely.append(item.name)
            continue
        if len(paths) > 1:
            raise MattingError(f'{paths[1]}: has the name of {paths[0]}, one of them expected')
        added.append(Item(item.name, {**item.files, what: paths[0]}))
    if lonely:
        kind = {'pred_alpha': 'matte'}.get(what, what)
        problem = f'{folder}: no {kind} for {len(lonely)} of {len(items)} ({list_some(lonely)})'
        if not (allow_unmatched and added):
            raise MattingError(problem)
        logging.warning('left out: %s', problem)
    return added


def load_matte(path: Path) -> np.ndarray:
    """A predicted alpha as float32 [H, W] in [0, 1]; raises ImageError if it has colours.

    Unlike true alphas, which may be label maps of 0 and 1, black pictures remain black.
    """
    pixels = load_image(path)
    if (pixels != pixels[..., :1]).any():
        raise ImageError(f'{path}: expected an alpha (a grey picture), found colours')
    return pixels[..., 0].astype(np.float32) / 255


def load_trimap(path: Path) -> np.ndarray:
    """A picture of black, white and one grey as float32 [H, W]: 0, 1 and, unknown, 0.5.

    Raises:
      ImageError: The file is missing or damaged, or holds other levels.
    """
    levels = load_matte(path)
    unknown = (levels > 0) & (levels < 1)
    if (count := len(np.unique(levels[unknown]))) > 1:
        raise ImageError(
            f'{path}: expected a trimap (black, white and one grey), found {count} greys'
        )
    return np.where(unknown, np.float32(0.5), levels)


def _read(item: Item) -> Record:
    files = item.files
    record: Record = {'name': item.name}
    if 'foreground' in files:
        foreground, alpha = load_cutout(files['foreground'])
        behind = Background(str(files['background'])).of_size(*alpha.shape)
        record |= {'alpha': alpha, 'image': composite(foreground, alpha, behind)}
    for what, load in (
        ('image', load_image),
        ('alpha', load_alpha),
        ('pred_alpha', load_matte),
        ('trimap', load_trimap),
    ):
        if what in files:
            record[what] = load(files[what])
    first = next(iter(files))  # the photo, if it is at hand
    height, width = record['alpha' if first == 'alpha' else 'image'].shape[:2]
    for what in record:
        if what in files and record[what].shape[:2] != (height, width):
            rows, columns = record[what].shape[:2]
            raise ImageError(
                f'{files[what]}: expected the size of {files[first]}, {width}x{height}, got '
                f'{columns}x{rows}'
            )
    return record
