"""Pseudo-labels: a teacher's mattes as alphas of photos, corrected by masks if there are any."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mattingjax.config.texts import whole_number
from mattingjax.data.folders import FileDataset, open_images, open_pairs
from mattingjax.data.records import RecordError
from mattingjax.errors import ImageError, MattingError
from mattingjax.evaluation.panel import draw_panel, draw_row
from mattingjax.images.compositing import to_uint8
from mattingjax.inference import Predictor, create_predictor
from mattingjax.inference.averaging import Predict, average_mattes
from mattingjax.process.files import check_new_folder, check_outside, new_folder
from mattingjax.process.progress import say, show_progress
from mattingjax.training.labels.backgrounds import choose_background, find_strips
from mattingjax.training.labels.corrections import merge

_KIND, _LIST_FILE, _SHEET_FILE = 'a set of labels', 'labels.csv', 'most_doubted.png'
_ROWS = 12  # of the sheet of the most doubted labels


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


def parse_input_sizes(entries: Iterable[str]) -> tuple[int, ...]:
    """Reads the input sizes of a teacher, such as '320' and '384'.

    Raises:
      MattingError: One is no whole number, or there twice.
    """
    sizes: list[int] = []
    for entry in entries:
        size = whole_number(entry)
        if size is None or size in sizes:
            raise MattingError(
                f'input_sizes: expected whole numbers of pixels, each once, got {entry!r}'
            )
        sizes.append(size)
    return tuple(sizes)


def label_photos(
    teacher: str,
    images: Path,
    masks: Path | None,
    output: Path,
    *,
    alpha_values: str,
    input_sizes: Sequence[int] = (),
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
      input_sizes: The input sizes in pixels over which the teacher's mattes are averaged; its own
        size alone if empty.
      most_doubt: Photos whose label has more doubt are left out; see `corrections.Label`.
      flip: Whether mattes of the photo's mirror image are averaged in.
      overwrite: Whether an earlier folder of labels is replaced.
      tell: Gets the lines for the user: how many photos got labels, the list of them, and how to go
        on.

    Raises:
      MattingError: The teacher or a folder is missing or damaged, the teacher cannot be used at an
        input size, or no photo got a label.
      OutputError: The folder cannot be written, or something else lies there.
    """
    check_new_folder(output, _KIND, _LIST_FILE, overwrite=overwrite)
    check_outside(output, [images, *([masks] if masks else [])])
    dataset = open_pairs(images, masks, False, alpha_values) if masks else open_images(images)
    predictors, made_by = _open_teacher(teacher, input_sizes)
    about = {
        **made_by,
        'flip': flip,
        'images': str(images),
        'masks': str(masks) if masks else None,
        'alpha_values': alpha_values,
    }
    with contextlib.ExitStack() as stack:
        for predictor in predictors:
            stack.enter_context(predictor.preparing(entry.photo for entry in dataset.entries))
        summary = label_folder(
            average_mattes(predictors, flip=flip),
            dataset,
            output,
            most_doubt=most_doubt,
            about=about,
            overwrite=overwrite,
        )
    counts = summary._asdict().items()
    tell(', '.join(f'{count} {name.replace("_", " ")}' for name, count in counts))
    tell(str(output / _LIST_FILE))
    if not summary.labelled:
        raise MattingError(f'{images}: {_explain_no_label(summary, output, most_doubt)}')
    root = shlex.quote(os.path.abspath(output / _LIST_FILE))
    tell(f'next: look at {output / _SHEET_FILE}, then train with')
    tell(f'  --config.dataset.kind=csv --config.dataset.root={root}')


def _open_teacher(
    teacher: str, input_sizes: Sequence[int]
) -> tuple[list[Predictor], dict[str, Any]]:
    """Opens a teacher at each size, or at its own if there is none, and describes it."""
    sizes: Sequence[int | None] = input_sizes or [None]
    predictors = [create_predictor(teacher, input_size=size) for size in sizes]
    description = predictors[0].describe()
    own_size = description.pop('input_size')
    return predictors, {'teacher': description, 'input_sizes': list(input_sizes) or [own_size]}


def _explain_no_label(summary: Summary, output: Path, most_doubt: float) -> str:
    if not summary.left_out:
        return f'all {summary.unreadable} photos are unreadable'
    return (
        f'not one of {summary.left_out + summary.unreadable} photos got a label '
        f'({summary.left_out} doubted more than most_doubt={most_doubt:g}, {summary.unreadable} '
        f'unreadable); see {output / _SHEET_FILE}'
    )


def label_folder(
    predict: Predict,
    dataset: FileDataset,
    output: Path,
    *,
    most_doubt: float,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Summary:
    """Writes alphas of photos, a list of both, and backgrounds cut from the photos.

    output/alpha/NAME.png       8-bit grey
    output/background/NAME.jpg  the widest strip beside the person without people, repeated to the
                                photo's width
    output/labels.csv           columns image, alpha, doubt; a dataset of kind 'csv'
    output/labels.json          how they were made, and the number of photos by outcome
    output/left_out.csv         columns image, doubt: the photos with too much doubt
    output/most_doubted.png     the labels that most need a look

    Args:
      predict: The teacher, which takes uint8 [H, W, 3] and returns float32 [H, W] in [0, 1].
      dataset: Photos, with masks or without.
      output: The folder to make.
      most_doubt: Photos whose label has more doubt are left out; see `corrections.Label`.
      about: How the labels are made, as JSON types.
      overwrite: Whether an earlier folder of labels is replaced.

    Raises:
      MattingError: Two photos have the same name without extension, or a name is not UTF-8.
      OutputError: The folder cannot be written, or something else lies there.
    """
    _check_names(dataset)
    with new_folder(output, _KIND, _LIST_FILE, overwrite=overwrite) as folder:
        writer = _LabelWriter(folder, output, most_doubt)
        for index in show_progress(range(len(dataset)), unit='photo', description='labelling'):
            entry = dataset.entries[index]
            try:
                record = dataset[index]
                matte = predict(record['image'])
            except (ImageError, RecordError) as error:
                writer.pass_over(error)
            else:
                writer.write(entry.name, entry.photo, record, matte)
        return writer.finish(about or {})


class _LabelWriter:
    """Writes the labels of `label_folder` one by one.

    Args:
      folder: The folder to write to.
      output: Where the folder will lie in the end.
      most_doubt: Photos whose label has more doubt are left out.
    """

    def __init__(self, folder: Path, output: Path, most_doubt: float):
        self._folder, self._output, self._most_doubt = folder, output, most_doubt
        self._kept: list[dict[str, str]] = []
        self._left_out: list[dict[str, str]] = []
        self._doubted: list[tuple[float, str, dict[str, np.ndarray]]] = []
        self._unreadable = self._backgrounds = self._crowded = 0

    def pass_over(self, error: MattingError) -> None:
        """Counts a photo that cannot be read."""
        self._unreadable += 1
        say(f'skipped: {error}')

    def write(self, name: str, path: Path, record: Mapping[str, Any], matte: np.ndarray) -> None:
        """Writes the label of a photo and its background, or lists the photo as left out."""
        image = record['image']
        alpha, doubt = merge(matte, record.get('alpha'))
        line = {
            'image': os.path.relpath(os.path.realpath(path), os.path.realpath(self._output)),
            'alpha': f'alpha/{name}.png',
            'doubt': f'{doubt:.4f}',
        }
        row = draw_row(image, matte, alpha, ("teacher's matte", 'label'))
        self._doubted.append((doubt, name, row))
        self._doubted = sorted(self._doubted, key=lambda row: -row[0])[:_ROWS]
        if doubt > self._most_doubt:
            self._left_out.append(line)
            return
        self._kept.append(line)
        _save(alpha, self._folder / line['alpha'])
        strips = find_strips(image, alpha)
        background = choose_background(strips, alpha.shape[1])
        if background is not None:
            self._backgrounds += 1
            _save(background, self._folder / f'background/{name}.jpg')
        elif strips:
            self._crowded += 1

    def finish(self, about: Mapping[str, Any]) -> Summary:
        """Writes the lists, the sheet of the most doubted labels, and how all were made."""
        summary = Summary(
            len(self._kept),
            len(self._left_out),
            self._unreadable,
            self._backgrounds,
            self._crowded,
        )
        _write_list(self._folder / _LIST_FILE, self._kept, ['image', 'alpha', 'doubt'])
        _write_list(self._folder / 'left_out.csv', self._left_out, ['image', 'doubt'])
        limit = self._most_doubt if math.isfinite(self._most_doubt) else None  # as JSON wants it
        content = {**about, 'most_doubt': limit, 'counts': summary._asdict()}
        text = json.dumps(content, indent=1, ensure_ascii=False) + '\n'
        (self._folder / 'labels.json').write_bytes(text.encode('utf-8', 'backslashreplace'))
        if self._doubted:
            captions = {name: [f'{name}: doubt {doubt:.3f}'] for doubt, name, _ in self._doubted}
            panel = draw_panel({name: row for _, name, row in self._doubted}, captions)
            _save(panel, self._folder / _SHEET_FILE)
        return summary


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
