"""What is evaluated beside photos and alphas: composites, predictions, trimaps."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging

from mattingjax.data.folders import describe_clash, list_some, open_images
from mattingjax.data.records import PhotoFiles
from mattingjax.errors import MattingError
from mattingjax.images import name_key


def list_alphas(alphas: Path) -> list[PhotoFiles]:
    """Alphas whose photos are not at hand, with all below the folder."""
    return [PhotoFiles(entry.name, {'alpha': entry.photo}) for entry in open_images(alphas).entries]


def list_composites(foregrounds: Path, backgrounds: Path, seed: int) -> list[PhotoFiles]:
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
        background = behind[order[i % len(behind)]].photo
        items.append(PhotoFiles(entry.name, {'foreground': entry.photo, 'background': background}))
    return items


def add_pictures(
    items: Sequence[PhotoFiles], what: str, folder: Path, *, allow_unmatched: bool = False
) -> list[PhotoFiles]:
    """Records with one more file each: the picture of their name.

    Args:
      items: The records.
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
        path = entry.photo
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
        added.append(PhotoFiles(item.name, {**item.files, what: paths[0]}))
    if lonely:
        kind = {'pred_alpha': 'matte'}.get(what, what)
        problem = f'{folder}: no {kind} for {len(lonely)} of {len(items)} ({list_some(lonely)})'
        if not (allow_unmatched and added):
            raise MattingError(problem)
        logging.warning('left out: %s', problem)
    return added
