"""Pseudo-labels: a teacher's mattes as alphas of photos, corrected by masks if there are any."""

from __future__ import annotations

import csv
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from mattingjax.data.folders import FileDataset, open_images, open_pairs
from mattingjax.data.records import RecordError
from mattingjax.errors import ImageError, MattingError
from mattingjax.evaluation.panel import draw_panel, draw_row
from mattingjax.images.compositing import to_uint8
from mattingjax.inference import create_predictor
from mattingjax.process.files import check_new_folder, check_outside, new_folder
from mattingjax.process.progress import say, show_progress
from mattingjax.training.bystanders import shows_people

_KIND, _LIST_FILE, _SHEET_FILE = 'a set of labels', 'labels.csv', 'most_doubted.png'
Predict = Callable[[np.ndarray], np.ndarray]

# A mask is not trusted within this distance of its edge, as a share of the shorter side.
_SEAM = 0.015
_EMPTY = 5 / 255  # the largest alpha that counts as background
_LEAST_PERSON = 0.002  # area of a person in a matte without a mask, as a share of the photo's
_LEAST_WIDTH = 0.15  # width of a background, as a share of the photo's
_ROWS = 12  # of the sheet of the most doubted labels


class Label(NamedTuple):
    """An alpha, and how doubtful it is.

    Attributes:
      alpha: float32 [H, W] in [0, 1].
      doubt: The area where mask and matte disagree or, without a mask, where the matte is grey, as
        a share of the person's area, at least 0. It is 1 if a matte without a mask is almost empty:
        nobody is there, or the teacher overlooked them.
    """

    alpha: np.ndarray
    doubt: float


class Summary(NamedTuple):
    """The number of photos by outcome.

    Attributes:
      labelled: Photos with a label.
      left_out: Photos whose label was too doubtful.
      unreadable: Photos that could not be read.
      backgrounds: Labelled photos that gave a background.
      crowded: Labelled photos whose strips beside the person all seem to show other people.
    """

    labelled: int
    left_out: int
    unreadable: int
    backgrounds: int
    crowded: int


def merge(matte: np.ndarray, mask: np.ndarray | None) -> Label:
    """Replaces a teacher's matte by the mask where the two clearly contradict each other.

    They do where, away from the mask's edge, the matte is nearer to the opposite value. The
    replaced area gets a soft border, so that hair and edges remain those of the matte.

    Args:
      matte: float32 [H, W] in [0, 1].
      mask: float32 [H, W] in [0, 1], 1 on the person; None if there is none.
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
    """Finds the strips of a photo, of its whole height, without the person, the widest first.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].

    Returns:
      Strips of at least 15 % of the photo's width, uint8 [H, w, 3].
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
    """Repeats a strip, uint8 [H, w, 3], mirrored each time, until it is `width` pixels wide."""
    return np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), mode='symmetric')


def with_mirror(predict: Predict) -> Predict:
    """Makes a teacher that averages the mattes of a photo and of its mirror image."""

    def predict_both(image: np.ndarray) -> np.ndarray:
        mirrored = np.ascontiguousarray(image[:, ::-1])
        return (predict(image) + predict(mirrored)[:, ::-1]) / 2

    return predict_both


def label_photos(
    teacher: str,
    images: Path,
    masks: Path | None,
    output: Path,
    *,
    alpha_values: str,
    most_doubt: float,
    flip: bool,
    overwrite: bool,
    tell: Callable[[str], None] = print,
) -> None:
    """Labels a folder of photos with a network's mattes, as `label_folder` does.

    Args:
      teacher: A checkpoint directory, the name of weights that ship, or an artefact.
      images: Folder of photos.
      masks: Folder of their masks, of the same names; None if there are none.
      output: The folder to make.
      alpha_values: What the numbers in masks mean, as
        `mattingjax.data.alpha_values.parse_alpha_values` reads it.
      most_doubt: Photos whose label has more doubt are left out; see `Label`.
      flip: Whether the mattes of the photo and of its mirror image are averaged.
      overwrite: Whether an earlier folder of labels is replaced.
      tell: Gets the lines for the user: how many photos got labels, the list of them, and how to go
        on.

    Raises:
      MattingError: The teacher or a folder is missing or damaged, or no photo got a label.
      OutputError: The folder cannot be written, or something else lies there.
    """
    check_new_folder(output, _KIND, _LIST_FILE, overwrite=overwrite)
    check_outside(output, [images, *([masks] if masks else [])])
    dataset = open_pairs(images, masks, False, alpha_values) if masks else open_images(images)
    predictor = create_predictor(teacher)
    predict = with_mirror(predictor) if flip else predictor
    with predictor.preparing(entry.photo for entry in dataset.entries):
        summary = label_folder(predict, dataset, output, most_doubt=most_doubt, overwrite=overwrite)
    counts = summary._asdict().items()
    tell(', '.join(f'{count} {name.replace("_", " ")}' for name, count in counts))
    tell(str(output / _LIST_FILE))
    if summary.labelled:
        root = shlex.quote(os.path.abspath(output / _LIST_FILE))
        tell(f'next: look at {output / _SHEET_FILE}, then train with')
        tell(f'  --config.dataset.kind=csv --config.dataset.root={root}')
    elif summary.left_out:
        raise MattingError(
            f'{images}: not one of {len(dataset)} photos got a label ({summary.left_out} doubted '
            f'more than most_doubt={most_doubt:g}, {summary.unreadable} unreadable); see '
            f'{output / _SHEET_FILE}'
        )
    else:
        raise MattingError(f'{images}: all {summary.unreadable} photos are unreadable')


def label_folder(
    predict: Predict,
    dataset: FileDataset,
    output: Path,
    *,
    most_doubt: float,
    overwrite: bool = False,
) -> Summary:
    """Writes alphas of photos, a list of both, and backgrounds cut from the photos.

    A background is the widest strip beside the person in which a detector sees nobody, because
    passers-by would teach that people are background. Of 66 backgrounds from street photos, 4 still
    showed people, who sat or were far away.

    output/alpha/NAME.png       8-bit grey
    output/background/NAME.jpg  strip of the photo, repeated to its width
    output/labels.csv           columns image, alpha, doubt; a dataset of kind 'csv'
    output/left_out.csv         columns image, doubt: the photos with too much doubt
    output/most_doubted.png     the labels that most need a look

    Args:
      predict: The teacher, which takes uint8 [H, W, 3] and returns float32 [H, W] in [0, 1].
      dataset: Photos, with masks or without.
      output: The folder to make.
      most_doubt: Photos whose label has more doubt are left out; see `Label`.
      overwrite: Whether an earlier folder of labels is replaced.

    Raises:
      MattingError: Two photos have the same name without extension, or a name is not UTF-8.
      OutputError: The folder cannot be written, or something else lies there.
    """
    _check_names(dataset)
    kept: list[dict[str, str]] = []
    left_out: list[dict[str, str]] = []
    doubted: list[tuple[float, str, dict[str, np.ndarray]]] = []
    unreadable = backgrounds = crowded = 0
    with new_folder(output, _KIND, _LIST_FILE, overwrite=overwrite) as folder:
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
            doubted = sorted(doubted, key=lambda row: -row[0])[:_ROWS]
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
        _write_list(folder / _LIST_FILE, kept, ['image', 'alpha', 'doubt'])
        _write_list(folder / 'left_out.csv', left_out, ['image', 'doubt'])
        if doubted:
            captions = {name: [f'{name}: doubt {doubt:.3f}'] for doubt, name, _ in doubted}
            panel = draw_panel({name: row for _, name, row in doubted}, captions)
            _save(panel, folder / _SHEET_FILE)
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
