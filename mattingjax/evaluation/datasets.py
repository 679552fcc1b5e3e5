"""The files of an evaluation beside photos and alphas: backgrounds, predictions, trimaps."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging

from mattingjax.data.folders import describe_clash, open_images
from mattingjax.data.records import PhotoFiles
from mattingjax.errors import MattingError, list_some
from mattingjax.images import name_key


def list_alphas(alphas: Path) -> list[PhotoFiles]:
    """Lists the alphas in a folder and below it, for an evaluation without the photos.

    Raises:
      MattingError: The folder is missing or holds no picture.
    """
    return [PhotoFiles(entry.name, {'alpha': entry.photo}) for entry in open_images(alphas).entries]


def list_composites(foregrounds: Path, backgrounds: Path, seed: int) -> list[PhotoFiles]:
    """Assigns a background to each cut-out.

    The cut-outs, sorted by name, get the backgrounds, sorted by path and then shuffled, in turn. So
    all backgrounds are used equally often, and in the same way on every machine. A background is
    cropped about its centre and resized to the cut-out's size.

    Args:
      foregrounds: Folder of transparent pictures, searched recursively.
      backgrounds: Folder of pictures, searched recursively.
      seed: Random seed of the shuffling, at least 0.

    Raises:
      MattingError: A folder is missing or holds no picture.
    """
    cutouts = sorted(open_images(foregrounds).entries, key=lambda entry: entry.name)
    behind = open_images(backgrounds).entries
    order = np.random.default_rng(seed).permutation(len(behind))
    entries = []
    for i, entry in enumerate(cutouts):
        files = {'foreground': entry.photo, 'background': behind[order[i % len(behind)]].photo}
        entries.append(PhotoFiles(entry.name, files))
    return entries


def add_pictures(
    entries: Sequence[PhotoFiles], what: str, folder: Path, *, allow_unmatched: bool = False
) -> list[PhotoFiles]:
    """Adds to each record one more file, the picture that has its name.

    Args:
      entries: The files of each record.
      what: What the pictures are: 'pred_alpha' or 'trimap'.
      folder: The folder of the pictures, searched recursively: NAME.png or, as mattingjax predict
        writes them, NAME_alpha.png, in the same or other sub-folders. Other pictures are ignored.
      allow_unmatched: Whether records without such a picture are left out with a warning instead of
        being an error.

    Raises:
      MattingError: The folder is missing or holds no picture, two pictures have the name of a
        record, or a record has no picture.
    """
    found: dict[str, list[Path]] = collections.defaultdict(list)
    for entry in open_images(folder).entries:
        path = entry.photo
        for name in {entry.name, name_key(path.stem)}:
            found[name].append(path)
    added, lonely = [], []
    for entry in entries:
        paths = found.get(entry.name) or found.get(f'{entry.name}_alpha')
        if not paths:
            lonely.append(entry.name)
            continue
        if len(paths) > 1:
            raise MattingError(f'{describe_clash(paths[1], paths[0])}; one of them expected')
        added.append(PhotoFiles(entry.name, {**entry.files, what: paths[0]}))
    if lonely:
        kind = {'pred_alpha': 'matte'}.get(what, what)
        problem = f'{folder}: no {kind} for {len(lonely)} of {len(entries)} ({list_some(lonely)})'
        if not (allow_unmatched and added):
            raise MattingError(problem)
        logging.warning('left out: %s', problem)
    return added
