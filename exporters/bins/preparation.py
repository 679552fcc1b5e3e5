"""Writes photos as .bin files, exactly as an artefact wants them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from exporters.bins.files import input_as_photo, load_input, load_mask
from exporters.bins.index import (
    IMAGES_FOLDER,
    INDEX_FILE,
    MASKS_FOLDER,
    PREVIEW_FILE,
    Index,
    Item,
    Layout,
    read_index,
)
from exporters.bins.outputs import check_name
from mattingjax.data.folders import FileDataset, describe_clash
from mattingjax.data.records import Record
from mattingjax.errors import MattingError, OutputError
from mattingjax.images import encode_png, name_key, resize
from mattingjax.images.preprocessing import resize_photo
from mattingjax.images.sheets import make_row, make_sheet, shrink
from mattingjax.process.files import check_new_folder, new_folder
from mattingjax.process.progress import show_progress

_PREVIEWED, _PREVIEW_SIDE = 6, 320
_KIND = ('a preparation', INDEX_FILE)


def prepare_bins(
    dataset: FileDataset, layout: Layout, output: Path, *, overwrite: bool = False
) -> Index:
    """Writes the folder that the module `index` describes, or nothing at all.

    Progress goes to standard error.

    Args:
      dataset: The photos with their alphas.
      layout: The shape and type of the .bin files.
      output: The folder to make.
      overwrite: Whether an earlier preparation that lies there is replaced, with all that has been
        added to it (the results of a run, say).

    Raises:
      MattingError: A photo or alpha is damaged, the two do not fit together, or two photos have the
        same name.
      OutputError: Something else lies there, the folder cannot be written, or a name is too long.
    """
    names = _name_records(dataset)
    _check_target(output, dataset, names, overwrite)
    with new_folder(output, *_KIND, overwrite=overwrite) as scratch:
        for folder in (IMAGES_FOLDER, MASKS_FOLDER):
            (scratch / folder).mkdir()
        items = []
        for i, name in enumerate(show_progress(names, unit='photo', description='preparing')):
            sources = {what: str(path) for what, path in dataset.entries[i].files.items()}
            items.append(_write_record(name, sources, dataset[i], layout, scratch))
        index = Index(layout, tuple(items))
        text = json.dumps(index.to_dict(), indent=1) + '\n'
        (scratch / INDEX_FILE).write_text(text, encoding='utf-8')
        (scratch / PREVIEW_FILE).write_bytes(encode_png(_draw_preview(scratch, index)))
    return index


def encode_input(image: np.ndarray, layout: Layout) -> np.ndarray:
    """A photo, uint8 [H, W, 3], as the network's input, [1, H, W, 3] of the layout's type."""
    pixels = resize_photo(image, *layout.input_shape[1:3])
    return layout.encoding.encode(pixels[None])


def encode_mask(alpha: np.ndarray, layout: Layout) -> np.ndarray:
    """An alpha, float32 [H, W] in [0, 1], as a mask, [1, H, W, 1]; resized as photos are."""
    mask = resize(alpha, *layout.mask_shape[1:3], enlarge=cv2.INTER_AREA)
    return np.clip(mask, 0, 1)[None, ..., None]


def _name_records(dataset: FileDataset) -> list[str]:
    """Names for the files of each record; raises MattingError if two would be the same."""
    seen: dict[str, Path] = {}
    for path in (entry.photo for entry in dataset.entries):
        name = name_key(path.stem)
        if name in seen:
            raise MattingError(
                f'{describe_clash(path, seen[name])}; folders do not tell them apart'
            )
        seen[name] = path
    return list(seen)


def _write_record(
    name: str, sources: dict[str, str], record: Record, layout: Layout, folder: Path
) -> Item:
    image, alpha = record['image'], record['alpha']
    files = {
        f'{IMAGES_FOLDER}/{name}.bin': encode_input(image, layout).tobytes(),
        f'{MASKS_FOLDER}/{name}.bin': encode_mask(alpha, layout).tobytes(),
    }
    for file, content in files.items():
        (folder / file).write_bytes(content)
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    (image_file, image_sha256), (mask_file, mask_sha256) = hashes.items()
    return Item(
        name=name,
        sources=sources,
        size=image.shape[:2],
        image_file=image_file,
        image_sha256=image_sha256,
        mask_file=mask_file,
        mask_sha256=mask_sha256,
    )


def _draw_preview(folder: Path, index: Index) -> np.ndarray:
    """Input, mask and cut-out of a few photos from the first to the last, as they were written."""
    count = min(_PREVIEWED, len(index.items))
    layout, rows = index.layout, []
    for i in np.linspace(0, len(index.items) - 1, count).round().astype(int):
        image = input_as_photo(load_input(folder, index.items[i], layout), layout)
        mask = load_mask(folder, index.items[i], layout)[0, ..., 0]
        mask = np.clip(resize(mask, *image.shape[:2]), 0, 1)
        rows.append([shrink(picture, _PREVIEW_SIDE) for picture in make_row(image, mask)])
    return make_sheet(rows)


def _check_target(
    output: Path, dataset: FileDataset, names: Sequence[str], overwrite: bool
) -> None:
    """Raises MattingError if more than an earlier preparation would be lost."""
    check_new_folder(output, *_KIND, overwrite=overwrite)
    if (output / INDEX_FILE).is_file():
        read_index(output)  # other programs write files of that name, too
    for path in (path for entry in dataset.entries for path in entry.files.values()):
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output)):
            raise OutputError(f'{output}: would be replaced, but {path} lies in it')
    for name in names:
        check_name(name)
