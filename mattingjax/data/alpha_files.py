"""Reads the alphas of a dataset, once it is known what the numbers in its files mean."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from mattingjax.data.alpha_numbers import Numbers, read_cutout, read_numbers
from mattingjax.data.alpha_values import (
    EIGHT_BITS,
    GREY,
    MASK,
    AlphaValues,
    Doubt,
    guess_alpha_values,
    list_numbers,
    parse_alpha_values,
)
from mattingjax.data.records import choose_evenly
from mattingjax.errors import ImageError, MattingError

_MIDDLE = 64 / 255, 192 / 255  # the range of the grey that marks the unknown region of a trimap
_SAMPLE = 8  # files of a dataset that are read to guess what the numbers mean


@dataclasses.dataclass(frozen=True)
class AlphaReader:
    """Reads the alphas of one dataset.

    Attributes:
      values: What the numbers mean; None to guess it from each file.
      usual: What the numbers mean in the dataset's other files, if these agree.
      predicted: Whether the alphas are predictions. Among these a file that could be a mask of 0
        and 1 may as well be an almost empty matte, so it is read as grey where other files are
        clearly grey; `create_alpha_reader` refuses the dataset where none is.
    """

    values: AlphaValues | None = None
    usual: AlphaValues | None = None
    predicted: bool = False

    def load(self, path: Path) -> np.ndarray:
        """Reads a matte or mask.

        The alpha is the picture's transparency, unless that is constant and the grey is not; else
        it is the grey: of 1, 8 or 16 bits, floating point in [0, 1], a palette of greys, or RGB
        with three equal channels. In label maps the grey has precedence over the transparency, and
        a palette of colours counts by its indices.

        Args:
          path: A picture file.

        Returns:
          float32 [H, W] in [0, 1].

        Raises:
          ImageError: The file is missing, damaged or no picture, has colours, holds two mattes, or
            its numbers do not tell what they mean.
        """
        return self._apply(read_numbers(path, self.values, self.setting), path)

    def load_cutout(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Reads a cut-out, which is a transparent picture.

        Args:
          path: A picture file.

        Returns:
          The colours, not premultiplied, uint8 [H, W, 3], and the alpha, float32 [H, W] in [0, 1].

        Raises:
          ImageError: The file is missing, damaged or no picture, has no transparency, or the
            numbers in that do not tell what they mean.
        """
        colours, stored = read_cutout(path)
        return colours, self._apply(stored, path)

    @property
    def setting(self) -> str:
        """The name of the setting that says what the numbers mean."""
        return 'prediction_values' if self.predicted else 'alpha_values'

    def _apply(self, stored: Numbers, path: Path) -> np.ndarray:
        with _naming(path):
            return self._decide(stored).apply(stored.numbers, self.setting)

    def _decide(self, stored: Numbers) -> AlphaValues:
        """What the numbers of a file mean; raises MattingError where that is in doubt."""
        if self.values:
            if stored.has_colours and not self.values.labels:
                raise MattingError('expected an alpha (a grey picture), found colours')
            return self.values
        guess = stored.guess()
        if self.predicted and not stored.has_colours:
            if isinstance(guess, AlphaValues) and not guess.labels:
                return guess
            return EIGHT_BITS if self._is_usual(stored) else GREY
        if guess is Doubt.EMPTY:
            return self.usual or GREY
        if isinstance(guess, AlphaValues) and (self.usual or guess) == guess:
            return guess
        if self.usual and self._is_usual(stored):
            return self.usual
        raise MattingError(_explain(stored, self.setting, self.usual))

    def _is_usual(self, stored: Numbers) -> bool:
        """Whether the meaning of the dataset's other files fits this file."""
        numbers = stored.numbers
        if stored.has_colours:
            return False
        if self.usual == MASK:
            return numbers.max() == 1  # a mask that is 1 everywhere, for example
        if self.usual == EIGHT_BITS and numbers.dtype != np.uint8 and 0 <= numbers.max() <= 255:
            # Greys without areas of white.
            return self.predicted or guess_alpha_values(numbers.astype(np.uint8)) == GREY
        return False


TRUE_ALPHAS, PREDICTIONS = AlphaReader(), AlphaReader(predicted=True)  # without a setting


def load_trimap(path: Path) -> np.ndarray:
    """Reads a trimap, a picture of black, white and one middle grey for the unknown region.

    Args:
      path: A picture file.

    Returns:
      float32 [H, W] of 0, 1 and 0.5.

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
    if count and not _MIDDLE[0] <= grey <= _MIDDLE[1]:  # a mask of 0 and 1, for example
        raise ImageError(
            f'{path}: expected a trimap, its grey from 64 to 192 of 255, found {255 * grey:g}'
        )
    return np.where(unknown, np.float32(0.5), levels)


def create_alpha_reader(
    paths: Sequence[Path], values: str = 'auto', *, cutouts: bool = False, predicted: bool = False
) -> AlphaReader:
    """Makes the reader of a dataset's alphas, after looking at a few of them.

    Args:
      paths: The files of the alphas, or of cut-outs. Files that cannot be read are ignored here.
      values: What the numbers mean, as `parse_alpha_values` reads it.
      cutouts: Whether the files are cut-outs.
      predicted: Whether the alphas are predictions; see `AlphaReader`.

    Raises:
      MattingError: `values` is invalid or names labels that no file holds, or the files' numbers do
        not tell what they mean.
    """
    reader = AlphaReader(predicted=predicted)
    if rule := parse_alpha_values(values, reader.setting):
        if rule.labels:
            _check_labels(rule, paths, cutouts, reader.setting)
        return dataclasses.replace(reader, values=rule)
    clear: set[AlphaValues] = set()
    doubtful: dict[Path, Numbers] = {}
    for path, stored in _read_all(_choose_sample(paths), cutouts, None):
        guess = stored.guess()
        if isinstance(guess, AlphaValues) and not (predicted and guess.labels):
            clear.add(guess)
        # A constant prediction is no label map.
        is_flat = predicted and stored.numbers.min() == stored.numbers.max()
        if guess in (MASK, Doubt.AMBIGUOUS) and not is_flat:
            doubtful[path] = stored
    first = next(iter(doubtful), None)
    if first is not None and not clear:
        with _naming(first):
            raise MattingError(_explain(doubtful[first], reader.setting))
    if first is not None and predicted:
        logging.warning(
            '%s: values %s read as greys; set prediction_values=labels:N if N is the person',
            first,
            list_numbers(doubtful[first].numbers),
        )
    for other in clear - {GREY}:
        logging.warning('%s: alphas read as %s=%s', paths[0].parent, reader.setting, other)
    return dataclasses.replace(reader, usual=clear.pop() if len(clear) == 1 else None)


def _choose_sample(paths: Sequence[Path]) -> list[Path]:
    """A few files, evenly spread over all."""
    return [paths[i] for i in choose_evenly(len(paths), _SAMPLE)]


def _read_all(
    paths: Iterable[Path], cutouts: bool, rule: AlphaValues | None
) -> Iterator[tuple[Path, Numbers]]:
    """Yields files with their numbers, without those that cannot be read."""
    for path in paths:
        with contextlib.suppress(ImageError):  # raised again when the record is read
            yield path, read_cutout(path)[1] if cutouts else read_numbers(path, rule)


def _check_labels(rule: AlphaValues, paths: Sequence[Path], cutouts: bool, setting: str) -> None:
    """Raises MattingError if no file holds any of the labels, so that all would be background."""
    labels = [number for number, _ in rule.labels]
    found: set[float] = set()
    first, count = None, 0
    # With the sample first, usually few files need to be read.
    ordered = dict.fromkeys([*_choose_sample(paths), *paths])
    for path, stored in _read_all(ordered, cutouts, rule):
        found |= set(np.unique(stored.numbers).tolist())
        if not found.isdisjoint(labels):
            return
        first, count = first or path, count + 1
    if first is None or (setting == 'prediction_values' and not any(found)):
        return  # predictions may be empty
    raise MattingError(
        f'{first.parent}: {setting}={rule}: no such label in {count} of the files, found values '
        f'{list_numbers(np.array(sorted(found)))}'
    )


def _explain(stored: Numbers, setting: str, usual: AlphaValues | None = None) -> str:
    """The error message about a file whose numbers do not tell what they mean."""
    what = '16-bit values' if stored.numbers.dtype == np.uint16 else 'values'
    if stored.has_colours:
        what = 'indices of a palette of colours'
    others = f' (other alphas here are read as {usual})' if usual else ''
    grey = '' if stored.has_colours else ' or grey:N (N is white)'
    return (
        f'{what} {list_numbers(stored.numbers)} do not tell what the person is{others}; set '
        f'{setting}=labels:N (N is the person){grey}'
    )


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Makes the messages of errors raised inside begin with the file."""
    try:
        yield
    except MattingError as error:
        raise ImageError(f'{path}: {error}') from error
