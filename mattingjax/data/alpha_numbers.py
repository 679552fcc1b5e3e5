"""The numbers in alpha files of every kind: grey, 16-bit, palette, or a cut-out's transparency."""

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

_COMPRESSION = 4  # what lossy formats make of equal channels differs by no more
_TINY = 0.002  # as a share of the picture: what differs in no more of it is as good as the same


class Numbers(NamedTuple):
    """The numbers that a file holds, [H, W]; those of `has_colours` are indices of a palette."""

    numbers: np.ndarray
    has_colours: bool = False

    def guess(self) -> AlphaValues | Doubt:
        """See `guess_alpha_values`; indices tell nothing."""
        return Doubt.AMBIGUOUS if self.has_colours else guess_alpha_values(self.numbers)


def read_cutout(path: Path) -> tuple[np.ndarray, Numbers]:
    """The colours of a transparent picture, and the numbers of its transparency."""
    image, _ = open_picture(path)
    if not image.has_transparency_data:
        raise ImageError(f'{path}: expected a transparent picture, found an opaque one')
    pixels = np.asarray(image.convert('RGBA'))
    colours, alpha = pixels[..., :3], pixels[..., 3]
    return np.ascontiguousarray(colours), Numbers(np.ascontiguousarray(alpha))


def read_numbers(
    path: Path, rule: AlphaValues | None = None, setting: str = 'alpha_values'
) -> Numbers:
    """The numbers of a file that tell its alpha.

    Args:
      path: A picture file.
      rule: What the numbers mean, if that is set. Of labels the grey counts before the
        transparency, a palette of colours by its indices, and of two colours the second is 1; of
        greys the transparency counts whatever lies below it.
      setting: What sets the rule, for the error.
    """
    labels = bool(rule and rule.labels)
    image, _ = open_picture(path)
    if labels and image.mode == '1':
        return Numbers(np.asarray(image).astype(np.uint8))
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
    # Small differences in a dark picture may be codes: 1, 0, 0 for the person.
    if pixels.max() <= 127 or np.ptp(pixels, axis=-1).max() > _COMPRESSION:
        raise ImageError(f'{path}: expected an alpha (a grey picture), found colours')
    return Numbers(np.round(pixels.mean(axis=-1)).astype(np.uint8))
