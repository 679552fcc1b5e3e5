"""Resizes and checks arrays of pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from PIL import Image

from mattingjax.errors import ImageError


def resize(
    image: np.ndarray, height: int, width: int, enlarge: int = cv2.INTER_CUBIC
) -> np.ndarray:
    """Resizes a picture, by area where a side shrinks and cubic where it grows.

    Args:
      image: float32 or uint8, [H, W] or [H, W, C].
      height: New height in pixels.
      width: New width in pixels.
      enlarge: OpenCV's interpolation where a side grows; cubic may exceed the input's range.

    Returns:
      [height, width] or [height, width, C], of the same type; the array itself if it has that size.
    """
    if image.shape[:2] == (height, width):
        return image
    smaller = min(height, image.shape[0]), min(width, image.shape[1])
    if smaller != image.shape[:2]:
        image = cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != (height, width):
        image = cv2.resize(image, (width, height), interpolation=enlarge)
    return image


def check_image(image: object, name: str = 'image') -> None:
    """Raises ImageError unless `image` is a uint8 array [H, W, 3]; `name` is its name there."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = getattr(image, 'dtype', type(image).__name__)
        raise ImageError(f'{name}: expected a uint8 array, got {found}')
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ImageError(f'{name}: expected shape [H, W, 3], got {list(image.shape)}')


def check_alpha(alpha: object, image: np.ndarray) -> None:
    """Raises ImageError unless `alpha` is a floating-point array with the size of `image`."""
    if not isinstance(alpha, np.ndarray) or not np.issubdtype(alpha.dtype, np.floating):
        found = getattr(alpha, 'dtype', type(alpha).__name__)
        raise ImageError(f'alpha: expected floating-point values in [0, 1], got {found}')
    if alpha.shape != image.shape[:2]:
        raise ImageError(
            f"alpha: expected the image's shape {list(image.shape[:2])}, got {list(alpha.shape)}"
        )


def as_alpha(alpha: Any, image: np.ndarray) -> np.ndarray:
    """Converts an alpha that a function got as an argument.

    Args:
      alpha: float [H, W] in [0, 1], of any array library.
      image: The image that it belongs to, uint8 [H, W, 3].

    Returns:
      float [H, W]; a NumPy array is returned itself, not copied.

    Raises:
      ImageError: The alpha has another type or shape.
    """
    values = np.asarray(alpha) if hasattr(alpha, '__array__') else alpha
    check_alpha(values, image)
    return values


def grey_to_uint8(image: Image.Image, where: str) -> np.ndarray:
    """Converts a grey picture of 16 bits or of floating-point values to 8 bits.

    Args:
      image: A picture of one of Pillow's 16-bit modes, 'I' or 'F'.
      where: What messages call it.

    Returns:
      uint8 [H, W] in [0, 255].

    Raises:
      ImageError: It has values beyond [0, 65535], in mode 'F' beyond [0, 1].
    """
    values = np.asarray(image).astype(np.float64)
    low, high = values.min(), values.max()
    if image.mode == 'F':
        top, what = 1.0, 'floating-point values in [0, 1]'
    else:
        top, what = 65535.0, '16-bit values in [0, 65535]'
    if not (low >= 0 and high <= top):
        raise ImageError(f'{where}: expected {what}, found {low:g} to {high:g}')
    return np.round(values * (255 / top)).astype(np.uint8)
