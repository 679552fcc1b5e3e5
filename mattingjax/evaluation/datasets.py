"""What is evaluated: photos and alphas in folders, or cut-outs composed with backgrounds."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from mattingjax.data.alpha_files import PREDICTIONS, TRUE_ALPHAS, AlphaReader, create_alpha_reader
from mattingjax.data.alpha_values import GREY
from mattingjax.data.folders import (
    check_size,
    describe_clash,
    list_some,
    match_pairs,
    open_images,
)
from mattingjax.data.records import Record, RecordError
from mattingjax.errors import ImageError, MattingError
from mattingjax.images import load_image, name_key
from mattingjax.images.compositing import Background, composite

_MIDDLE = 64 / 255, 192 / 255  # the greys that a trimap may have for what is unknown


@dataclasses.dataclass(frozen=True)
class Item:
    """The files of one record.

    Attributes:
      name: What it is called in reports.
      files: What each file is → its path: 'foreground' and 'background', or 'alpha' and, where it
        is at hand, 'image'; perhaps 'pred_alpha' and 'trimap'.
    """

    name: str
    files: dict[str, Path] = dataclasses.field(hash=False)

    @property
    def photo(self) -> Path:
        """The file whose size the photo has: itself, its cut-out, or else its alpha."""
        return next(iter(self.files.values()))


@dataclasses.dataclass(frozen=True)
class EvaluationDataset:
    """Records that lie in files, opened when they are asked for.

    A record has `name` and `alpha`, and those of `image`, `pred_alpha` (float32 [H, W] in [0, 1])
    and `trimap` (float32 [H, W] of 0, 0.5 and 1) that it has files of.

    Attributes:
      items: The records' files.
      alphas: How the true alphas are read, those of cut-outs too.
      predictions: How the predicted ones are.
    """

    items: tuple[Item, ...]
    alphas: AlphaReader = TRUE_ALPHAS
    predictions: AlphaReader = PREDICTIONS

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Record:
        """Reads a record; raises RecordError where files are damaged or differ in size."""
        try:
            return self._read(self.items[index])
        except ImageError as error:
            raise RecordError(str(error)) from error

    def _read(self, item: Item) -> Record:
        files = item.files
        record: Record = {'name': item.name}
        if 'foreground' in files:
            foreground, alpha = self.alphas.load_cutout(files['foreground'])
            behind = Background(str(files['background'])).of_size(*alpha.shape)
            record |= {'alpha': alpha, 'image': composite(foreground, alpha, behind)}
        loaders: dict[str, Callable[[Path], np.ndarray]] = {
            'image': load_image,
            'alpha': self.alphas.load,
            'pred_alpha': self.predictions.load,
            'trimap': load_trimap,
        }
        record |= {what: load(files[what]) for what, load in loaders.items() if what in files}
        first = next(iter(files))  # the photo, if it is at hand
        expected = record['alpha' if first == 'alpha' else 'image'].shape[:2]
        for what in loaders.keys() & files.keys():
            check_size(files[what], record[what].shape[:2], files[first], expected)
        return record


def create_dataset(
    items: Sequence[Item], alpha_values: str = 'auto', prediction_values: str = 'auto'
) -> EvaluationDataset:
    """The dataset of such records.

    Args:
      items: The records' files.
      alpha_values: What the true alphas' numbers mean; see
        `mattingjax.data.alpha_values.parse_alpha_values`.
      prediction_values: Likewise of predictions; with 'auto' they are greys.

    Raises:
      MattingError: A setting is none, or the alphas' numbers do not tell what they mean.
    """

    def list_files(what: str) -> list[Path]:
        return [item.files[what] for item in items if what in item.files]

    cutouts = list_files('foreground')
    return EvaluationDataset(
        tuple(items),
        create_alpha_reader(cutouts or list_files('alpha'), alpha_values, cutouts=bool(cutouts)),
        create_alpha_reader(list_files('pred_alpha'), prediction_values, predicted=True),
    )


def list_pairs(images: Path, alphas: Path, *, allow_unmatched: bool = False) -> list[Item]:
    """Photos and alphas of the same names; see `mattingjax.data.folders.match_pairs`."""
    entries = match_pairs(images, alphas, allow_unmatched)
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
    cutouts = sorted(open_images(foregrounds).entries, key=lambda entry: entry.name)
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
        for name in {entry.name, name_key(path.stem)}:
            found[name].append(path)
    added, lonely = [], []
    for item in items:
        paths = found.get(item.name) or found.get(f'{item.name}_alpha')
        if not paths:
            lonely.append(item.name)
            continue
        if len(paths) > 1:
            raise MattingError(f'{describe_clash(paths[1], paths[0])}; one of them expected')
        added.append(Item(item.name, {**item.files, what: paths[0]}))
    if lonely:
        kind = {'pred_alpha': 'matte'}.get(what, what)
        problem = f'{folder}: no {kind} for {len(lonely)} of {len(items)} ({list_some(lonely)})'
        if not (allow_unmatched and added):
            raise MattingError(problem)
        logging.warning('left out: %s', problem)
    return added


def load_trimap(path: Path) -> np.ndarray:
    """A picture of black, white and one middle grey as float32 [H, W]: 0, 1 and, unknown, 0.5.

    Raises:
      ImageError: The file is missing or damaged, or holds other levels.
    """
    levels = AlphaReader(GREY).load(path)
    unknown = (levels > 0) & (levels < 1)
    if (count := len(np.unique(levels[unknown]))) > 1:
        raise ImageError(
            f'{path}: expected a trimap (black, white and one grey), found {count} greys'
        )
    grey = levels[unknown].max(initial=0)
    if count and not _MIDDLE[0] <= grey <= _MIDDLE[1]:  # of a mask of 0 and 1, say
        raise ImageError(
            f'{path}: expected a trimap, its grey from 64 to 192 of 255, found {255 * grey:g}'
        )
    return np.where(unknown, np.float32(0.5), levels)
