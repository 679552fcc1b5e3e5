"""Alphas out of pictures of every kind: grey, 16-bit, palette, or the transparency of cut-outs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
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
from mattingjax.images.decoding import SIXTEEN_BIT

_LOOKED_AT = 8  # files of a dataset, to know what their numbers mean
_COMPRESSION = 4  # what lossy formats make of equal channels differs by no more
_TINY = 0.002  # as a share of the picture: what differs in no more of it is as good as the same


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

        What counts is the transparency, unless it is the same all over and the grey is not, else
        the grey: 8-bit, 16-bit, 1-bit, floating point in [0, 1], a palette of greys, or RGB with
        three equal channels. Of label maps the grey counts before the transparency; those with a
        palette of colours count by its indices.

        Args:
          path: A picture file.

        Returns:
          float32 [H, W] in [0, 1].

        Raises:
          ImageError: The file is missing, damaged or no picture, has colours, holds two mattes, or
            its numbers do not tell what they mean.
        """
        return self._apply(
            _read_numbers(path, labels=bool(self.values and self.values.labels)), path
        )

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
        return colours, self._apply(stored, path)

    @property
    def _setting(self) -> str:
        return 'prediction_values' if self.predicted else 'alpha_values'

    def _apply(self, stored: _Numbers, path: Path) -> np.ndarray:
        with _naming(path):
            return self._decide(stored).apply(stored.numbers, self._setting)

    def _decide(self, stored: _Numbers) -> AlphaValues:
        """The rule for a file; raises MattingError if there is none beyond doubt."""
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
        raise MattingError(_explain(stored, self._setting, self.usual))

    def _is_usual(self, stored: _Numbers) -> bool:
        """Whether what the dataset's other files are settles the doubt about one."""
        numbers = stored.numbers
        if stored.has_colours:
            return False
        if self.usual == MASK:
            return numbers.max() == 1  # the person all over, say
        if self.usual == EIGHT_BITS and numbers.dtype != np.uint8 and 0 <= numbers.max() <= 255:
            # Greys without areas of white.
            return self.predicted or guess_alpha_values(numbers.astype(np.uint8)) == GREY
        return False


TRUE_ALPHAS, PREDICTIONS = AlphaReader(), AlphaReader(predicted=True)  # with nothing set


class _Numbers(NamedTuple):
    """The numbers that a file holds, [H, W]; those of `has_colours` are indices of a palette."""

    numbers: np.ndarray
    has_colours: bool = False

    def guess(self) -> AlphaValues | Doubt:
        return Doubt.AMBIGUOUS if self.has_colours else guess_alpha_values(self.numbers)


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
      MattingError: The setting is none, names labels that no file holds, or the files' numbers do
        not tell what they mean.
    """
    setting = AlphaReader(predicted=predicted)._setting
    rule = parse_alpha_values(values, setting)
    is_grey = rule is not None and not rule.labels
    looked_at = {} if is_grey or not paths else _look_at(paths, cutouts, labels=rule is not None)
    if rule:
        _check_labels(rule, looked_at, setting)
        return AlphaReader(rule, predicted=predicted)
    clear: set[AlphaValues] = set()
    doubtful: dict[Path, _Numbers] = {}
    for path, stored in looked_at.items():
        guess = stored.guess()
        if isinstance(guess, AlphaValues):
            clear.add(guess)
        # A prediction that is the same all over is no label map.
        is_flat = predicted and stored.numbers.min() == stored.numbers.max()
        if guess in (MASK, Doubt.AMBIGUOUS) and not is_flat:
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
    for other in clear - {GREY}:
        logging.warning('%s: alphas read as %s=%s', paths[0].parent, setting, other)
    return AlphaReader(usual=clear.pop() if len(clear) == 1 else None, predicted=predicted)


def _look_at(paths: Sequence[Path], cutouts: bool, labels: bool) -> dict[Path, _Numbers]:
    """The numbers of a few files, evenly chosen; those that cannot be read are passed over."""
    found = {}
    for path in (paths[i] for i in choose_evenly(len(paths), _LOOKED_AT)):
        with contextlib.suppress(ImageError):  # told when it is its turn
            found[path] = _read_cutout(path)[1] if cutouts else _read_numbers(path, labels)
    return found


def _check_labels(rule: AlphaValues, looked_at: dict[Path, _Numbers], setting: str) -> None:
    """Raises MattingError if no file holds any of the labels: all would be background."""
    if not rule.labels or not looked_at:
        return
    found = np.unique(np.concatenate([np.unique(s.numbers) for s in looked_at.values()]))
    if setting == 'prediction_values' and not found.any():  # there may be nobody
        return
    if not np.isin(found, [number for number, _ in rule.labels]).any():
        raise MattingError(
            f'{next(iter(looked_at)).parent}: {setting}={rule}: no such label in '
            f'{len(looked_at)} of the files, found values {list_numbers(found)}'
        )


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


def _read_numbers(path: Path, labels: bool = False) -> _Numbers:
    """The numbers of a file that tell its alpha.

    Args:
      path: A picture file.
      labels: Whether they are labels. Then the grey counts before the transparency, a palette of
        colours by its indices, and of two colours the second is 1.
    """
    image, _ = open_picture(path)
    if labels and image.mode == '1':
        return _Numbers(np.asarray(image).astype(np.uint8))
    if not image.has_transparency_data:
        return _read_grey(image, path)
    alpha = np.asarray(image.convert('RGBA'))[..., 3]
    # A mask that was saved as RGBA by habit is opaque all over.
    if alpha.min() == 255:
        return _read_grey(image, path)
    try:
        grey = _read_grey(image, path)
    except ImageError:  # it has colours: those of a cut-out
        grey = None
    if grey and labels and (grey.has_colours or grey.numbers.min() < grey.numbers.max()):
        return grey
    if grey and not grey.has_colours and _looks_like_matte(grey.numbers, alpha):
        if _is_flat(alpha):
            return grey
        raise ImageError(
            f'{path}: expected one matte, found one in the grey and another in the transparency'
        )
    return _Numbers(np.ascontiguousarray(alpha))


def _looks_like_matte(grey: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether the grey below a transparency is a matte, another one than that."""
    if _is_flat(grey) or _are_alike(grey, alpha):
        return False
    if _are_alike(grey, 255 - alpha):
        return True
    # Where nothing is seen, colours are often black.
    seen = grey[alpha > 0] if alpha.any() else grey
    low, high = seen.min(), seen.max()
    # Photos are grey for the most part; mattes and label maps are not.
    ends = (seen <= low + 0.1 * (high - low)) | (seen >= high - 0.1 * (high - low))
    return high > low and not _is_flat(seen) and bool(ends.mean() >= 0.7)


def _are_alike(numbers: np.ndarray, others: np.ndarray) -> bool:
    """Whether numbers of 8 bits differ by rounding alone, but for a few pixels."""
    return bool(np.mean(cv2.absdiff(numbers, others) > 8) < _TINY)


def _is_flat(numbers: np.ndarray) -> bool:
    """Whether numbers of 8 bits are the same all over, but for a few pixels."""
    return bool(np.bincount(numbers.ravel()).max() > (1 - _TINY) * numbers.size)


def _read_grey(image: Image.Image, path: Path) -> _Numbers:
    if image.mode in ('I', *SIXTEEN_BIT):
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
    if (pixels == pixels[..., :1]).all():
        return _Numbers(np.ascontiguousarray(pixels[..., 0]))
    if image.mode == 'P':
        return _Numbers(np.asarray(image), has_colours=True)
    # Small differences in a dark picture may be codes: 1, 0, 0 for the person.
    if pixels.max() <= 127 or np.ptp(pixels, axis=-1).max() > _COMPRESSION:
        raise ImageError(f'{path}: expected an alpha (a grey picture), found colours')
    return _Numbers(np.round(pixels.mean(axis=-1)).astype(np.uint8))


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Lets the errors in it begin with the file."""
    try:
        yield
    except MattingError as error:
        raise ImageError(f'{path}: {error}') from error
