"""Alphas for photos without good ones: a teacher's mattes, put right by masks if there are any."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from mattingjax.data.folders import FileDataset
from mattingjax.data.records import RecordError
from mattingjax.errors import ImageError, MattingError
from mattingjax.evaluation.panel import draw_panel, draw_row
from mattingjax.files import new_folder
from mattingjax.images.compositing import to_uint8
from mattingjax.process.progress import say, show_progress
from mattingjax.training.bystanders import shows_people

KIND, LIST_FILE = 'a set of labels', 'labels.csv'
Predict = Callable[[np.ndarray], np.ndarray]

# Half the width of the seam of a mask, as a share of the shorter side: a mask is trusted beyond it.
_SEAM = 0.015
_EMPTY = 5 / 255  # what counts as background alone
_LEAST_PERSON = 0.002  # of a matte without a mask, as a share of the photo's area
_LEAST_WIDTH = 0.15  # of a background, as a share of the photo's


class Label(NamedTuple):
    """An alpha, and how far it is to be doubted.

    Attributes:
      alpha: float32 [H, W] in [0, 1].
      doubt: Share of the person's area, at least 0: where mask and matte disagree, or without a
        mask, what is neither person nor background; 1 where the matte without a mask is all but
        empty: either nobody is there, or the teacher saw nobody.
    """

    alpha: np.ndarray
    doubt: float


class Summary(NamedTuple):
    """How many photos there are of each kind.

    Attributes:
      labelled: With a label.
      left_out: Whose label was doubted too much.
      unreadable: That could not be read.
      backgrounds: Of the labelled ones, those that gave a background.
      crowded: Of the labelled ones, those with room beside the person, but people in it.
    """

    labelled: int
    left_out: int
    unreadable: int
    backgrounds: int
    crowded: int


def merge(matte: np.ndarray, mask: np.ndarray | None) -> Label:
    """A teacher's matte with the mask's values where the two disagree badly.

    They do where the mask is sure, away from its seam, and the matte nearer to the opposite. The
    mask comes in with a soft border, so that hair and edges stay the matte's.

    Args:
      matte: float32 [H, W] in [0, 1].
      mask: Likewise, 1 on the person; None if there is none.
    """
    if mask is None:
        if matte.mean() < _LEAST_PERSON:
            return Label(matte, 1.0)
        return Label(matte, _share(4 * matte * (1 - matte), matte))
    seam = max(2, round(_SEAM * min(matte.shape)))
    inside = cv2.erode(mask, _disc(seam)) > 0.5
    outside = cv2.dilate(mask, _disc(seam)) < 0.5
    wrong = ((inside & (matte < 0.5)) | (outside & (matte > 0.5))).astype(np.float32)
    weight = cv2.GaussianBlur(cv2.dilate(wrong, _disc(seam)), (0, 0), seam / 2)
    alpha = matte + weight * (mask - matte)
    return Label(np.clip(alpha, 0, 1), _share(wrong, mask))


def find_strips(image: np.ndarray, alpha: np.ndarray) -> list[np.ndarray]:
    """The strips of a photo, from top to bottom, that the alpha leaves free, the widest first.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].

    Returns:
      uint8 [H, at least 15 % of W, 3] each.
    """
    taken = np.flatnonzero(np.r_[True, alpha.max(0) > _EMPTY, True])
    widths = np.diff(taken) - 1
    least = max(2, _LEAST_WIDTH * alpha.shape[1])
    widest_first = np.argsort(-widths, kind='stable')
    return [
        image[:, taken[index] : taken[index] + widths[index]]
        for index in widest_first
        if widths[index] >= least
    ]


def widen(strip: np.ndarray, width: int) -> np.ndarray:
    """A strip mirrored until it is as wide as its photo: uint8 [H, width, 3]."""
    return np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), mode='symmetric')


def with_mirror(predict: Predict) -> Predict:
    """The mean of a photo's matte and of that of its mirror image, turned back."""

    def predict_both(image: np.ndarray) -> np.ndarray:
        mirrored = np.ascontiguousarray(image[:, ::-1])
        return (predict(image) + predict(mirrored)[:, ::-1]) / 2

    return predict_both


def label_folder(
    predict: Predict,
    dataset: FileDataset,
    output: Path,
    *,
    most_doubt: float,
    worst: int = 12,
    overwrite: bool = False,
) -> Summary:
    """Writes the alphas of photos, a list of both, and backgrounds: strips beside the person.

    Passers-by would teach that people are background: a strip where a detector sees some is left
    out, the next one of the photo tried. Of 66 backgrounds of street photos, 4 showed people all
    the same, who sat or were far away.

    output/alpha/NAME.png     8-bit grey
    output/background/NAME.jpg
    output/labels.csv         image, alpha, doubt; a dataset of kind 'csv'
    output/left_out.csv       photos that were doubted too much, likewise without alpha
    output/most_doubted.png   the labels to look at

    Args:
      predict: The teacher: uint8 [H, W, 3] → float32 [H, W] in [0, 1].
      dataset: Photos, with masks or without.
      output: The folder to make.
      most_doubt: What is doubted more is left out; see `Label`.
      worst: How many rows the picture has.
      overwrite: Whether such a folder is replaced.

    Raises:
      MattingError: Two photos have one name, suffixes aside, or a name is not UTF-8.
      OutputError: The folder cannot be written, or something else lies there.
    """
    _check_names(dataset)
    kept: list[dict[str, str]] = []
    left_out: list[dict[str, str]] = []
    doubted: list[tuple[float, str, dict[str, np.ndarray]]] = []
    unreadable = backgrounds = crowded = 0
    with new_folder(output, KIND, LIST_FILE, overwrite=overwrite) as folder:
        for index in show_progress(range(len(dataset)), unit='photo', description='labelling'):
            name, path = dataset.entries[index].name, dataset.entries[index].photo
            try:
                record = dataset[index]
                matte = predict(record['image'])
            except (ImageError, RecordError) as error:
                unreadable += 1
                say(f'skipped: {error}')
                continue
            alpha, doubt = merge(matte, record.get('alpha'))
            line = {
                'image': os.path.relpath(os.path.realpath(path), os.path.realpath(output)),
                'alpha': f'alpha/{name}.png',
                'doubt': f'{doubt:.4f}',
            }
            row = draw_row(record['image'], matte, alpha, ("teacher's matte", 'label'))
            doubted.append((doubt, name, row))
            doubted = sorted(doubted, key=lambda row: -row[0])[:worst]
            if doubt > most_doubt:
                left_out.append(line)
                continue
            kept.append(line)
            _save(alpha, folder / line['alpha'])
            strips = find_strips(record['image'], alpha)
            background = next((strip for strip in strips if not shows_people(strip)), None)
            if background is not None:
                backgrounds += 1
                _save(widen(background, alpha.shape[1]), folder / f'background/{name}.jpg')
            elif strips:
                crowded += 1
        _write_list(folder / LIST_FILE, kept, ['image', 'alpha', 'doubt'])
        _write_list(folder / 'left_out.csv', left_out, ['image', 'doubt'])
        if doubted:
            captions = {name: [f'{name}: doubt {doubt:.3f}'] for doubt, name, _ in doubted}
            panel = draw_panel({name: row for _, name, row in doubted}, captions)
            _save(panel, folder / 'most_doubted.png')
    return Summary(len(kept), len(left_out), unreadable, backgrounds, crowded)


def _check_names(dataset: FileDataset) -> None:
    paths: dict[str, Path] = {}
    for name, path in ((entry.name, entry.photo) for entry in dataset.entries):
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise MattingError(f'{path}: a name that is not UTF-8 cannot be listed') from error
        if name in paths:
            raise MattingError(f'{path}: has the name of {paths[name]}, extensions aside')
        paths[name] = path


def _save(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture if picture.dtype == np.uint8 else to_uint8(picture)
    Image.fromarray(pixels).save(path, quality=95)


def _write_list(path: Path, lines: Iterable[dict[str, str]], columns: list[str]) -> None:
    with path.open('w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore')
        writer.writeheader()
        writer.writerows(lines)


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _share(area: np.ndarray, person: np.ndarray) -> float:
    return float(area.sum() / max(1.0, person.sum()))
