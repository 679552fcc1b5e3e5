"""Alphas out of pictures of every kind: grey, 16-bit, palette, or the transparency of cut-outs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mattingjax.errors import ImageError
from mattingjax.images import read_size

_SIXTEEN_BIT = ('I', 'I;16', 'I;16L', 'I;16B', 'I;16N')


def load_alpha(path: Path) -> np.ndarray:
    """Reads a matte or mask.

    What counts is the transparency where there is any, else the grey: 8-bit, 16-bit, 1-bit,
    floating point in [0, 1], a palette of greys, or RGB with three equal channels. Whole numbers
    are divided by the largest of their type; but a mask that holds nothing above 1 is taken for a
    label map, where 1 is the person.

    Args:
      path: A picture file.

    Returns:
      float32 [H, W] in [0, 1].

    Raises:
      ImageError: The file is missing, damaged or no picture, or has colours.
    """
    image = _open(path)
    if image.has_transparency_data:
        alpha = np.asarray(image.convert('RGBA'))[..., 3]
        # A mask that was saved as RGBA by habit is opaque all over.
        if alpha.min() < 255:
            return _scale(alpha)
    return _scale(_read_grey(image, path))


def load_cutout(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a transparent picture.

    Args:
      path: A picture file.

    Returns:
      The colours, not premultiplied, uint8 [H, W, 3], and the alpha, float32 [H, W] in [0, 1].

    Raises:
      ImageError: The file is missing, damaged or no picture, or has no transparency.
    """
    image = _open(path)
    if not image.has_transparency_data:
        raise ImageError(f'{path}: expected a transparent picture, found an opaque one')
    pixels = np.asarray(image.convert('RGBA'))
    return np.ascontiguousarray(pixels[..., :3]), _scale(pixels[..., 3])


def _open(path: Path) -> Image.Image:
    """The decoded picture, upright."""
    read_size(path)  # for its errors: what it lets pass, Pillow opens again
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image)
    except Exception as error:  # decoders of damaged files raise anything
        raise ImageError(f'{path}: damaged picture ({type(error).__name__}: {error})') from error


def _read_grey(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            found = f'{values.min()} to {values.max()}'
            raise ImageError(f'{path}: expected values in [0, 65535], found {found}')
        return values.astype(np.uint16)
    if image.mode == 'F':
        values = np.asarray(image)
        # Written so that NaN fails too.
        if not (values.min() >= 0 and values.max() <= 1):
            found = f'{values.min():g} to {values.max():g}'
            raise ImageError(f'{path}: expected values in [0, 1], found {found}')
        return values
    if image.mode in ('1', 'L', 'LA'):
        return np.asarray(image.convert('L'))
    pixels = np.asarray(image.convert('RGB'))
    if (pixels != pixels[..., :1]).any():
        raise ImageError(f'{path}: expected an alpha (a grey picture), found colours')
    return pixels[..., 0]


def _scale(values: np.ndarray) -> np.ndarray:
    if np.issubdtype(values.dtype, np.floating):
        return values.astype(np.float32)
    top = np.iinfo(values.dtype).max if values.max() > 1 else 1
    return values.astype(np.float32) / top
