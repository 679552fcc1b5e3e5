"""What the numbers in an alpha file mean: greys, or labels of which some are the person."""

from __future__ import annotations

import dataclasses
import enum
import re

import cv2
import numpy as np

from mattingjax.errors import MattingError

# What is nearer to the largest number than this is surely the person.
_SURE = 0.9
# A label map holds no more classes than this; a soft matte has hundreds of levels.
_MOST_LABELS = 40
# Labels that lie beside 255, for what is to be ignored, are not above this (ADE20K counts to 150),
# unless they are one or two.
_LARGEST_LABEL = 150
# Shares of pixels in the midst of others like them: noise has next to none, areas have most.
_SCATTERED, _SOLID = 0.1, 0.5
_BEYOND_ONE = 1.5  # floating point above this has another white than 1
_OVERSHOOT = 0.25  # of white: what interpolation leaves outside of black and white
_LEAST_PERSON = 0.002  # as a share of the picture: less tells nothing


@dataclasses.dataclass(frozen=True)
class AlphaValues:
    """How numbers become alphas.

    Attributes:
      labels: Of label maps: pairs of a number and its alpha in [0, 1]; all others are background.
        Empty if the numbers are greys.
      top: Of greys: the number that is alpha 1; None for the largest of the file's type, which is
        1 for floating point.
    """

    labels: tuple[tuple[int, float], ...] = ()
    top: int | None = None

    def __str__(self) -> str:
        """The setting that `parse_alpha_values` reads."""
        if not self.labels:
            return 'grey' if self.top is None else f'grey:{self.top}'
        parts = (str(n) if alpha == 1 else f'{n}={alpha:g}' for n, alpha in self.labels)
        return f'labels:{",".join(parts)}'

    def apply(self, numbers: np.ndarray, setting: str = 'alpha_values') -> np.ndarray:
        """Numbers of any type → float32 of the same shape in [0, 1].

        Floating point that is a little outside, as cubic resizing leaves it, is clipped.

        Args:
          numbers: Those of a file.
          setting: What tells what they mean, for the error.

        Raises:
          MattingError: Numbers lie outside of what they may be.
        """
        if self.labels:
            alpha = np.zeros(numbers.shape, np.float32)
            for number, value in self.labels:
                alpha[numbers == number] = value
            return alpha
        top = self.top or largest_number(numbers)
        low, high = numbers.min(), numbers.max()
        if not (low >= 0 and high <= top) and not _overshoots(numbers, top):  # NaN does neither
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
    """Why numbers alone do not tell what they mean."""

    EMPTY = 'nothing but background, as far as can be seen'
    AMBIGUOUS = 'labels, or greys of another range'


def parse_alpha_values(text: str, name: str = 'alpha_values') -> AlphaValues | None:
    """Reads the setting `alpha_values`.

    Args:
      text: 'auto': what the numbers tell;
        'grey': from black to white, 255 or 65535 by the file's depth; 'grey:100': to 100;
        'labels:15': a label map where 15 is the person and all else is background; several with
        commas, 'labels:1,2=0.5', of which 2 has an alpha of 0.5. Palettes of colours count by
        index, those of greys by their grey.
      name: Of the setting, for the error.

    Returns:
      The rule; None for 'auto'.

    Raises:
      MattingError: It is none of these.
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
    """The largest that their type holds; 1 for floating point."""
    return 1 if np.issubdtype(numbers.dtype, np.floating) else int(np.iinfo(numbers.dtype).max)


def guess_alpha_values(numbers: np.ndarray) -> AlphaValues | Doubt:
    """What the numbers of an alpha file tell of their meaning.

    A matte reaches white where the person is; a label map holds few numbers, in areas. What is
    black up to some noise could be either.

    Args:
      numbers: uint8, uint16 or floating point [H, W].

    Returns:
      The rule where it is beyond doubt: greys; a mask of 0 and 1; or greys of 8 bits in more.
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
        # A faint matte ends in a few bright pixels; one of another range has areas of its white.
        at_peak = counts[levels[-1]] / (numbers.size - counts[0])
        return GREY if at_peak < _SCATTERED else Doubt.AMBIGUOUS
    solid = _solid_share(numbers, 1)
    if solid < _SCATTERED:
        return Doubt.EMPTY
    if levels.tolist() == [0, 1] and solid >= _SOLID and _largest_part(numbers) >= _SOLID:
        return MASK
    return Doubt.AMBIGUOUS


def _guess_eight_bits(numbers: np.ndarray) -> AlphaValues | Doubt:
    """The same of numbers that a file of more than 8 bits holds, as uint8."""
    guess = guess_alpha_values(numbers)
    if guess != GREY:
        return guess
    return EIGHT_BITS if _solid_share(numbers, 255 * _SURE) >= _SOLID else Doubt.AMBIGUOUS


def _overshoots(numbers: np.ndarray, top: int) -> bool:
    """Whether floating point is in [0, top] but for what interpolation and rounding leave."""
    if not np.issubdtype(numbers.dtype, np.floating):
        return False
    parts = numbers / top
    is_near = parts.min() >= -_OVERSHOOT and parts.max() <= 1 + _OVERSHOOT
    return bool(is_near and ((parts > -0.01) & (parts < 1.01)).mean() > 0.5)


def list_numbers(numbers: np.ndarray) -> str:
    """The numbers of a file for a message: '0, 1, 2', or, of many, '0 to 100'."""
    levels = np.unique(numbers)
    if len(levels) <= 8:
        return ', '.join(f'{level:g}' for level in levels)
    return f'{levels[0]:g} to {levels[-1]:g}'


def _has_labels_beside_white(numbers: np.ndarray, levels: np.ndarray, top: int) -> bool:
    """Whether white is what a label map ignores, its labels being far below."""
    inner = levels[(levels > 0) & (levels < _SURE * top)]
    if top not in levels or len(levels) > len(inner) + 2 or not 0 < len(inner) <= _MOST_LABELS:
        return False
    is_trimap = len(inner) == 1 and 0.4 * top <= inner[0] <= 0.6 * top
    is_even = inner.tolist() == [top // 3, top // 3 * 2]  # greys of two bits
    if is_trimap or is_even or (len(inner) > 2 and inner[-1] > _LARGEST_LABEL):
        return False
    return _solid_share(np.where(numbers == top, 0, numbers), 1) >= _SCATTERED


def _largest_part(mask: np.ndarray) -> float:
    """The largest connected area of a mask of 0 and 1, as a share of all."""
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum())


def _solid_share(numbers: np.ndarray, least: float) -> float:
    """Share of the pixels of at least that number whose eight neighbours have the same one."""
    square = np.ones((3, 3), np.uint8)
    solid = cv2.erode(numbers, square) == cv2.dilate(numbers, square)
    return float(solid[numbers >= least].mean())
