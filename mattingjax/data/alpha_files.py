"""Alphas out of pictures of every kind: grey, 16-bit, palette, or the transparency of cut-outs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging
from PIL import Image

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
from mattingjax.images import open_picture

_SIXTEEN_BIT = ('I', 'I;16', 'I;16L', 'I;16B', 'I;16N')
_LOOKED_AT = 8  # files of a dataset, to know what their numbers mean


@dataclasses.dataclass(frozen=True)
class AlphaReader:
    """Reads the alphas of one dataset.

    Attributes:
      values: What numbers mean; None if they have to tell it themselves.
      usual: What they mean in the dataset's other files, if these agree.
      predicted: Whether the alphas are a network's. Then a dark one remains dark: what could be a
        mask of 0 and 1 may as well be a matte that is all but empty. It is not refused here, among
        others that are grey beyond doubt; `create_alpha_reader` refuses where none is.
    """

    values: AlphaValues | None = None
    usual: AlphaValues | None = None
    predicted: bool = False

    def load(self, path: Path) -> np.ndarray:
        """Reads a matte or mask.

        What counts is the transparency where there is any, else the grey: 8-bit, 16-bit, 1-bit,
        floating point in [0, 1], a palette of greys, or RGB with three equal channels.

        Args:
          path: A picture file.

        Returns:
          float32 [H, W] in [0, 1].

        Raises:
          ImageError: The file is missing, damaged or no picture, has colours, or its numbers do
            not tell what they mean.
        """
        stored = _read_numbers(path, indices=bool(self.values and self.values.labels))
        with _naming(path):
            return self._decide(stored).apply(stored.numbers)

    def load_cutout(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Reads a transparent picture.

        Args:
          path: A picture file.

        Returns:
          The colours, not premultiplied, uint8 [H, W, 3], and the alpha, float32 [H, W] in [0, 1].

        Raises:
          ImageError: The file is missing, damaged or no picture, has no transparency, or the
            numbers of that do not tell what they mean.
        """
        colours, stored = _read_cutout(path)
        with _naming(path):
            return colours, self._decide(stored).apply(stored.numbers)

    def _decide(self, stored: _Numbers) -> AlphaValues:
        """The rule for a file; raises MattingError if there is none beyond doubt."""
        if self.values:
            if stored.has_colours and not self.values.labels:
                raise MattingError('expected an alpha (a grey picture), found colours')
            return self.values
        guess = stored.guess()
        if self.predicted and not stored.has_colours:
            return guess if isinstance(guess, AlphaValues) and not guess.labels else GREY
        if guess is Doubt.EMPTY:
            return self.usual or GREY
        if isinstance(guess, AlphaValues) and (self.usual or guess) == guess:
            return guess
        if self.usual and self._is_usual(stored):
            return self.usual
        raise MattingError(_explain(stored, 'alpha_values', self.usual))

    def _is_usual(self, stored: _Numbers) -> bool:
        """Whether what the dataset's other files are settles the doubt about one."""
        numbers = stored.numbers
        if stored.has_colours:
            return False
        if self.usual == MASK:
            return numbers.max() == 1  # the person all over, say
        if self.usual == EIGHT_BITS and numbers.dtype == np.uint16 and numbers.max() <= 255:
            return guess_alpha_values(numbers.astype(np.uint8)) == GREY  # without areas of white
        return False


TRUE_ALPHAS, PREDICTIONS = AlphaReader(), AlphaReader(predicted=True)  # with nothing set


class _Numbers(NamedTuple):
    """The numbers that a file holds, [H, W]; those of `has_colours` are indices of a palette."""

    numbers: np.ndarray
    has_colours: bool = False

    def guess(self) -> AlphaValues | Doubt:
        return Doubt.AMBIGUOUS if self.has_colours else guess_alpha_values(self.numbers)


def load_alpha(path: Path, values: str = 'auto') -> np.ndarray:
    """Reads one matte or mask; see `AlphaReader.load` and, for `values`, `parse_alpha_values`."""
    return AlphaReader(parse_alpha_values(values)).load(path)


def load_cutout(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads one transparent picture; see `AlphaReader.load_cutout`."""
    return AlphaReader().load_cutout(path)


def create_alpha_reader(
    paths: Sequence[Path], values: str = 'auto', *, cutouts: bool = False, predicted: bool = False
) -> AlphaReader:
    """What reads the alphas of a dataset, once a few of them have been looked at.

    Args:
      paths: The dataset's alphas or cut-outs. Files that cannot be read are passed over here.
      values: The setting; see `parse_alpha_values`.
      cutouts: Whether `load_cutout` will read them.
      predicted: See `AlphaReader`.

    Raises:
      MattingError: The setting is none, or the files' numbers do not tell what they mean.
    """
    setting = 'prediction_values' if predicted else 'alpha_values'
    rule = parse_alpha_values(values, setting)
    if rule or not paths:
        return AlphaReader(rule, predicted=predicted)
    clear: set[AlphaValues] = set()
    doubtful: dict[Path, _Numbers] = {}
    for path in (paths[i] for i in choose_evenly(len(paths), _LOOKED_AT)):
        try:
            stored = _read_cutout(path)[1] if cutouts else _read_numbers(path)
        except ImageError:
            continue  # told when it is its turn
        guess = stored.guess()
        if isinstance(guess, AlphaValues):
            clear.add(guess)
        if guess in (MASK, Doubt.AMBIGUOUS):
            doubtful[path] = stored
    if predicted:
        clear.discard(MASK)
    for path, stored in list(doubtful.items())[:1]:
        if not clear:
            with _naming(path):
                raise MattingError(_explain(stored, setting))
        if predicted:
            logging.warning(
                '%s: values %s read as greys; set prediction_values=labels:N if N is the person',
                path,
                list_numbers(stored.numbers),
            )
    if predicted:
        return AlphaReader(predicted=True)
    for other in clear - {GREY}:
        logging.warning('%s: alphas read as alpha_values=%s', paths[0].parent, other)
    return AlphaReader(usual=clear.pop() if len(clear) == 1 else None)


def _explain(stored: _Numbers, setting: str, usual: AlphaValues | None = None) -> str:
    """The line about a file whose numbers do not tell what they mean."""
    what = '16-bit values' if stored.numbers.dtype == np.uint16 else 'values'
    if stored.has_colours:
        what = 'indices of a palette of colours'
    others = f' (other alphas here are read as {usual})' if usual else ''
    grey = '' if stored.has_colours else ' or grey:N (N is white)'
    return (
        f'{what} {list_numbers(stored.numbers)} do not tell what the person is{others}; set '
        f'{setting}=labels:N (N is the person){grey}'
    )


def _read_cutout(path: Path) -> tuple[np.ndarray, _Numbers]:
    """The colours of a transparent picture, and the numbers of its transparency."""
    image, _ = open_picture(path)
    if not image.has_transparency_data:
        raise ImageError(f'{path}: expected a transparent picture, found an opaque one')
    pixels = np.asarray(image.convert('RGBA'))
    colours, alpha = pixels[..., :3], pixels[..., 3]
    return np.ascontiguousarray(colours), _Numbers(np.ascontiguousarray(alpha))


def _read_numbers(path: Path, indices: bool = False) -> _Numbers:
    """The numbers of a file that tell its alpha; of palette images perhaps the indices."""
    image, _ = open_picture(path)
    if image.mode == 'P' and indices:
        return _Numbers(np.asarray(image))
    if image.has_transparency_data:
        alpha = np.asarray(image.convert('RGBA'))[..., 3]
        # A mask that was saved as RGBA by habit is opaque all over.
        if alpha.min() < 255:
            return _Numbers(np.ascontiguousarray(alpha))
    if image.mode == '1' and indices:
        return _Numbers(np.asarray(image).astype(np.uint8))
    return _read_grey(image, path)


def _read_grey(image: Image.Image, path: Path) -> _Numbers:
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            found = f'{values.min()} to {values.max()}'
            raise ImageError(f'{path}: expected values in [0, 65535], found {found}')
        return _Numbers(values.astype(np.uint16))
    if image.mode == 'F':
        return _Numbers(np.asarray(image))
    if image.mode in ('1', 'L', 'LA'):
        return _Numbers(np.asarray(image.convert('L')))
    pixels = np.asarray(image.convert('RGB'))
    if (pixels != pixels[..., :1]).any():
        if image.mode == 'P':
            return _Numbers(np.asarray(image), has_colours=True)
        raise ImageError(f'{path}: expected an alpha (a grey picture), found colours')
    return _Numbers(np.ascontiguousarray(pixels[..., 0]))


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Lets the errors in it begin with the file."""
    try:
        yield
    except MattingError as error:
        raise ImageError(f'{path}: {error}') from error
