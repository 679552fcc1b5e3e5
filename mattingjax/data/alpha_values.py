"""The meaning of the numbers in an alpha file: greys, or labels of which some are the person."""

from __future__ import annotations

import dataclasses
import enum
import re

import cv2
import numpy as np

from mattingjax.errors import MattingError

# Numbers of at least this share of the largest possible one are surely the person.
_SURE = 0.9
# A label map holds at most so many labels; a soft matte has hundreds of levels.
_MOST_LABELS = 40
# More than two labels besides 255, which marks pixels to be ignored, are at most this large
# (ADE20K has 150 classes).
_LARGEST_LABEL = 150
# The share of pixels whose neighbours all have the same number is below the first in noise, and
# above the second in areas.
_SCATTERED, _SOLID = 0.1, 0.5
_BEYOND_ONE = 1.5  # floating point above this has another white than 1
_OVERSHOOT = 0.25  # share of white by which interpolation exceeds black and white
_LEAST_PERSON = 0.002  # share of the pixels that must not be 0, to guess from them


@dataclasses.dataclass(frozen=True)
class AlphaValues:
    """How the numbers of a file become alphas.

    Attributes:
      labels: For label maps, pairs of a label and its alpha in [0, 1]; all other labels are
        background. Empty if the numbers are greys.
      top: For greys, the number that is alpha 1; None for the largest number of the file's type,
        which is 1 for floating point.
    """

    labels: tuple[tuple[int, float], ...] = ()
    top: int | None = None

    def __str__(self) -> str:
        """The text that `parse_alpha_values` reads."""
        if not self.labels:
            return 'grey' if self.top is None else f'grey:{self.top}'
        parts = (str(n) if alpha == 1 else f'{n}={alpha:g}' for n, alpha in self.labels)
        return f'labels:{",".join(parts)}'

    def apply(self, numbers: np.ndarray, setting: str = 'alpha_values') -> np.ndarray:
        """Converts numbers to alphas.

        Floating point slightly out of range, as cubic resizing leaves it, is clipped.

        Args:
          numbers: The numbers of a file, of any type and shape.
          setting: The name of the setting that says what numbers mean, for error messages.

        Returns:
          float32 of the same shape in [0, 1].

        Raises:
          MattingError: Numbers are out of range.
        """
        if self.labels:
            alpha = np.zeros(numbers.shape, np.float32)
            for number, value in self.labels:
                alpha[numbers == number] = value
            return alpha
        top = self.top or largest_number(numbers)
        low, high = numbers.min(), numbers.max()
        if not (low >= 0 and high <= top) and not _overshoots(numbers, top):  # NaN fails both
            remedy = f'; set {setting}=labels:N (N is the person) or grey:N (N is white)'
            raise MattingError(
                f'expected values in [0, {top}], found {low:g} to {high:g}'
                f'{remedy if high > _BEYOND_ONE else ""}'
            )
        return np.clip(numbers.astype(np.float32) / np.float32(top), 0, 1)


GREY = AlphaValues()
MASK = AlphaValues(labels=((1, 1.0),))
EIGHT_BITS = AlphaValues(top=255)


class Doubt(enum.Enum):
    """The reasons why numbers alone do not tell what they mean."""

    EMPTY = 'nothing but background, as far as can be seen'
    AMBIGUOUS = 'labels, or greys of another range'


def parse_alpha_values(text: str, name: str = 'alpha_values') -> AlphaValues | None:
    """Reads a setting that says what the numbers in alpha files mean.

    Args:
      text: 'auto' guesses from the numbers. 'grey' means greys from black to white, which is 255 or
        65535 by the file's depth; with 'grey:100' white is 100. 'labels:15' means a label map where
        15 is the person and all other labels are background; with 'labels:1,2=0.5' label 1 is the
        person and label 2 has an alpha of 0.5. A palette of colours counts by its indices, a
        palette of greys by its greys.
      name: The name of the setting, for error messages.

    Returns:
      What the numbers mean; None for 'auto'.

    Raises:
      MattingError: The text is none of these.
    """
    if text == 'auto':
        return None
    if text == 'grey':
        return GREY
    if (found := re.fullmatch(r'grey:([1-9]\d{0,4})', text)) and int(found[1]) <= 65535:
        return AlphaValues(top=int(found[1]))
    label = r'\d{1,5}(=(0|1|0?\.\d{1,6}|1\.0{1,6}))?'
    if re.fullmatch(f'labels:{label}(,{label})*', text):
        parts = [part.partition('=') for part in text.removeprefix('labels:').split(',')]
        labels = tuple((int(number), float(alpha or 1)) for number, _, alpha in parts)
        if len({number for number, _ in labels}) == len(labels):
            return AlphaValues(labels)
    raise MattingError(
        f'{name}: expected auto, grey, grey:N (N is white), labels:N (N is the person) or '
        f'labels:N,M=0.5 (M is half of it), got {text!r}'
    )


def largest_number(numbers: np.ndarray) -> int:
    """The largest number of an array's type; 1 for floating point."""
    return 1 if np.issubdtype(numbers.dtype, np.floating) else int(np.iinfo(numbers.dtype).max)


def guess_alpha_values(numbers: np.ndarray) -> AlphaValues | Doubt:
    """Guesses what the numbers of an alpha file mean.

    A matte reaches white where the person is; a label map holds few numbers, in areas. A picture
    that is black except for some noise could be either.

    Args:
      numbers: uint8, uint16 or floating point [H, W].

    Returns:
      The meaning where it is clear: greys, a mask of 0 and 1, or 8-bit greys in a larger type; else
      the doubt.
    """
    if np.issubdtype(numbers.dtype, np.floating):
        if not numbers.max() > _BEYOND_ONE:
            return GREY if numbers.any() else Doubt.EMPTY
        is_eight_bits = numbers.max() <= 255 or _overshoots(numbers, 255)
        eight_bits = np.round(np.clip(numbers, 0, 255)).astype(np.uint8)
        return _guess_eight_bits(eight_bits) if is_eight_bits else Doubt.AMBIGUOUS
    top = largest_number(numbers)
    if top > 255 and numbers.max() <= 255:
        return _guess_eight_bits(numbers.astype(np.uint8))
    counts = cv2.calcHist([numbers], [0], None, [top + 1], [0, top + 1]).ravel()
    levels = np.flatnonzero(counts)
    if levels[-1] >= _SURE * top:
        return Doubt.AMBIGUOUS if _has_labels_beside_white(numbers, levels, top) else GREY
    if np.count_nonzero(numbers) < _LEAST_PERSON * numbers.size:
        return Doubt.EMPTY
    if len(levels) > _MOST_LABELS:
        # A faint matte has few pixels of its largest number; with another white it has areas of it.
        at_peak = counts[levels[-1]] / (numbers.size - counts[0])
        return GREY if at_peak < _SCATTERED else Doubt.AMBIGUOUS
    solid = _solid_share(numbers, 1)
    if solid < _SCATTERED:
        return Doubt.EMPTY
    if levels.tolist() == [0, 1] and solid >= _SOLID and _largest_part(numbers) >= _SOLID:
        return MASK
    return Doubt.AMBIGUOUS


def _guess_eight_bits(numbers: np.ndarray) -> AlphaValues | Doubt:
    """Guesses what 8-bit numbers in a file of a larger type mean, given as uint8."""
    guess = guess_alpha_values(numbers)
    if guess != GREY:
        return guess
    return EIGHT_BITS if _solid_share(numbers, 255 * _SURE) >= _SOLID else Doubt.AMBIGUOUS


def _overshoots(numbers: np.ndarray, top: int) -> bool:
    """Whether floating point exceeds [0, top] only as interpolation and rounding do."""
    if not np.issubdtype(numbers.dtype, np.floating):
        return False
    parts = numbers / top
    is_near = parts.min() >= -_OVERSHOOT and parts.max() <= 1 + _OVERSHOOT
    return bool(is_near and ((parts > -0.01) & (parts < 1.01)).mean() > 0.5)


def list_numbers(numbers: np.ndarray) -> str:
    """Describes the numbers of a file in a message: '0, 1, 2', or '0 to 100' if there are many."""
    levels = np.unique(numbers)
    if len(levels) <= 8:
        return ', '.join(f'{level:g}' for level in levels)
    return f'{levels[0]:g} to {levels[-1]:g}'


def _has_labels_beside_white(numbers: np.ndarray, levels: np.ndarray, top: int) -> bool:
    """Whether white marks the ignored pixels of a label map whose labels are far below."""
    inner = levels[(levels > 0) & (levels < _SURE * top)]
    if top not in levels or len(levels) > len(inner) + 2 or not 0 < len(inner) <= _MOST_LABELS:
        return False
    is_trimap = len(inner) == 1 and 0.4 * top <= inner[0] <= 0.6 * top
    is_two_bits = inner.tolist() == [top // 3, top // 3 * 2]  # the greys of 2-bit pictures
    if is_trimap or is_two_bits or (len(inner) > 2 and inner[-1] > _LARGEST_LABEL):
        return False
    return _solid_share(np.where(numbers == top, 0, numbers), 1) >= _SCATTERED


def _largest_part(mask: np.ndarray) -> float:
    """The area of the largest connected component of a mask of 0 and 1, as a share of all."""
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum())


def _solid_share(numbers: np.ndarray, least: float) -> float:
    """The share of pixels of at least `least` whose eight neighbours have the same number."""
    square = np.ones((3, 3), np.uint8)
    solid = cv2.erode(numbers, square) == cv2.dilate(numbers, square)
    return float(solid[numbers >= least].mean())
