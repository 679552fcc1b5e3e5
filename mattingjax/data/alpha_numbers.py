"""Reads the numbers of an alpha file: its grey, palette indices, or transparency."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from mattingjax.data.alpha_values import AlphaValues, Doubt, guess_alpha_values
from mattingjax.errors import ImageError
from mattingjax.images import open_picture
from mattingjax.images.decoding import SIXTEEN_BIT

_COMPRESSION = 4  # the largest difference that lossy compression leaves between equal channels
_TINY = 0.002  # share of the pixels that may differ between pictures that count as equal


class Numbers(NamedTuple):
    """The numbers that an alpha file holds.

    Attributes:
      numbers: uint8, uint16 or floating point [H, W].
      has_colours: Whether the numbers are indices of a palette of colours.
    """

    numbers: np.ndarray
    has_colours: bool = False

    def guess(self) -> AlphaValues | Doubt:
        """Guesses the meaning as `guess_alpha_values` does; that of indices is always in doubt."""
        return Doubt.AMBIGUOUS if self.has_colours else guess_alpha_values(self.numbers)


def read_cutout(path: Path) -> tuple[np.ndarray, Numbers]:
    """Reads the colours of a transparent picture and the numbers of its transparency.

    Args:
      path: A picture file.

    Returns:
      The colours, uint8 [H, W, 3], and the numbers.

    Raises:
      ImageError: The file is missing, damaged or no picture, or has no transparency.
    """
    image, _ = open_picture(path)
    if not image.has_transparency_data:
        raise ImageError(f'{path}: expected a transparent picture, found an opaque one')
    pixels = np.asarray(image.convert('RGBA'))
    colours, alpha = pixels[..., :3], pixels[..., 3]
    return np.ascontiguousarray(colours), Numbers(np.ascontiguousarray(alpha))


def read_numbers(
    path: Path, rule: AlphaValues | None = None, setting: str = 'alpha_values'
) -> Numbers:
    """Reads the numbers of a file that tell its alpha.

    Args:
      path: A picture file.
      rule: What the numbers mean, if that is set. If they are labels, the grey has precedence over
        the transparency, a palette counts by its indices, and 1-bit pictures hold 0 and 1. If they
        are greys, the transparency counts, whatever the grey below it is.
      setting: The name of the setting that gives the rule, for error messages.

    Raises:
      ImageError: The file is missing, damaged or no picture, has colours, or holds two mattes.
    """
    labels = bool(rule and rule.labels)
    image, _ = open_picture(path)
    if labels and image.mode == '1':
        return Numbers(np.asarray(image).astype(np.uint8))
    if not image.has_transparency_data:
        return _read_grey(image, path)
    alpha = np.asarray(image.convert('RGBA'))[..., 3]
    # A mask that was saved as RGBA by habit is opaque everywhere.
    if alpha.min() == 255:
        return _read_grey(image, path)
    try:
        grey = _read_grey(image, path)
    except ImageError:  # it has the colours of a cut-out
        grey = None
    if grey and labels and (grey.has_colours or grey.numbers.min() < grey.numbers.max()):
        return grey
    if grey and not grey.has_colours:
        if _is_flat(alpha) and np.median(alpha) and not _is_flat(grey.numbers):
            return grey
        if _looks_like_matte(grey.numbers, alpha):
            if _is_flat(alpha):
                return grey
            if rule is None:
                raise ImageError(
                    f'{path}: expected one matte, found one in the grey and another in the '
                    f'transparency; {setting}=grey takes that'
                )
    return Numbers(np.ascontiguousarray(alpha))


def _looks_like_matte(grey: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether the grey below a transparency is a matte of its own."""
    if _is_flat(grey) or _are_alike(grey, alpha):
        return False
    if _are_alike(grey, 255 - alpha):
        return True
    # Transparent pixels are often black whatever the picture shows.
    seen = grey[alpha > 0] if alpha.any() else grey
    low, high = seen.min(), seen.max()
    # Most pixels of a photo are neither dark nor bright; most of a matte or label map are.
    ends = (seen <= low + 0.1 * (high - low)) | (seen >= high - 0.1 * (high - low))
    return high > low and not _is_flat(seen) and bool(ends.mean() >= 0.7)


def _are_alike(numbers: np.ndarray, others: np.ndarray) -> bool:
    """Whether two uint8 arrays differ by no more than rounding, except in a few pixels."""
    return bool(np.mean(cv2.absdiff(numbers, others) > 8) < _TINY)


def _is_flat(numbers: np.ndarray) -> bool:
    """Whether a uint8 array is constant, except in a few pixels."""
    return bool(np.bincount(numbers.ravel()).max() > (1 - _TINY) * numbers.size)


def _read_grey(image: Image.Image, path: Path) -> Numbers:
    if image.mode in ('I', *SIXTEEN_BIT):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            found = f'{values.min()} to {values.max()}'
            raise ImageError(f'{path}: expected values in [0, 65535], found {found}')
        return Numbers(values.astype(np.uint16))
    if image.mode == 'F':
        return Numbers(np.asarray(image))
    if image.mode in ('1', 'L', 'LA'):
        return Numbers(np.asarray(image.convert('L')))
    pixels = np.asarray(image.convert('RGB'))
    if (pixels == pixels[..., :1]).all():
        return Numbers(np.ascontiguousarray(pixels[..., 0]))
    if image.mode == 'P':
        return Numbers(np.asarray(image), has_colours=True)
    # Small differences in a dark picture may be label codes, such as (1, 0, 0) for the person.
    if pixels.max() <= 127 or np.ptp(pixels, axis=-1).max() > _COMPRESSION:
        raise ImageError(f'{path}: expected an alpha (a grey picture), found colours')
    return Numbers(np.round(pixels.mean(axis=-1)).astype(np.uint8))
