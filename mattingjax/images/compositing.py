"""What mattes are made for: cut-outs and composites."""

from __future__ import annotations

import hashlib
import os

import cv2
import numpy as np
from PIL import ImageColor

from mattingjax.errors import ImageError
from mattingjax.images import as_alpha, as_image, load_photo, resize, to_srgb
from mattingjax.images.decoding import Array, Source
from mattingjax.process.reading import explain_absence

_BLUR = 4  # pixels of sigma that are enough: a picture that is blurred by more is shrunk first
_LEAST_WEIGHT = 1e-3  # of the person's pixels, where there are no others near
_ROWS = 64  # that are composed at a time: their numbers stay in the processor's cache


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Converts values in [0, 1] to uint8 in [0, 255], clipped and rounded."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def cut_out(foreground: Source, alpha: Array) -> np.ndarray:
    """Makes a cut-out, a transparent picture whose colours are not premultiplied by alpha.

    Args:
      foreground: uint8 [H, W, 3], or anything else that `load_image` takes.
      alpha: float32 [H, W] in [0, 1].

    Returns:
      uint8 [H, W, 4], RGBA.

    Raises:
      ImageError: An array has another type or shape.
    """
    foreground = as_image(foreground, 'foreground')
    cutout = cv2.cvtColor(np.ascontiguousarray(foreground), cv2.COLOR_RGB2RGBA)
    cutout[..., 3] = to_uint8(as_alpha(alpha, foreground))
    return cutout


def composite(
    foreground: Source,
    alpha: Array,
    background: Background | Source,
    icc_profile: bytes | None = None,
) -> np.ndarray:
    """Composites a foreground on a background: alpha · foreground + (1 − alpha) · background.

    A foreground in another colour space is converted, so that the background keeps its colours.

    Args:
      foreground: uint8 [H, W, 3], or anything else that `load_image` takes.
      alpha: float32 [H, W] in [0, 1].
      background: uint8 [H, W, 3], or anything else that `Background` takes, such as a colour or a
        picture of any size.
      icc_profile: The colour profile of a foreground that is an array; None for sRGB. A file has
        its own.

    Returns:
      uint8 [H, W, 3] in sRGB.

    Raises:
      ImageError: An array has another type or shape, or the background is neither a colour nor a
        picture.
    """
    photo = load_photo(foreground, 'foreground')
    alpha = as_alpha(alpha, photo.pixels)
    foreground = to_srgb(photo.pixels, icc_profile or photo.icc_profile)
    if not isinstance(background, Background):
        background = Background(background)
    background = background.of_size(*alpha.shape)
    composed = np.empty_like(foreground)
    for top in range(0, len(alpha), _ROWS):
        rows = slice(top, top + _ROWS)
        weight = np.clip(alpha[rows, :, None], 0, 1).astype(np.float32)
        mixed = weight * foreground[rows] + (1 - weight) * background[rows]
        composed[rows] = np.round(mixed, out=mixed)
    return composed


class Background:
    """The background of composites: one colour, or a picture that is cropped to cover the photo.

    It is in sRGB: a picture with a colour profile is converted.

    Args:
      colour_or_image: A colour, as `parse_colour` reads it, the path of a picture, or anything else
        that `load_image` takes.

    Raises:
      ImageError: The argument is neither a colour nor a picture.
    """

    def __init__(self, colour_or_image: Source):
        self._image: np.ndarray | None = None
        if isinstance(colour_or_image, str):
            colour = parse_colour(colour_or_image)
            if colour is not None:
                self._colour = colour
                return
            if not os.path.isfile(colour_or_image):
                is_folder = os.path.isdir(colour_or_image)
                found = 'a folder' if is_folder else explain_absence(colour_or_image)
                raise ImageError(
                    f'{colour_or_image or "an empty word"}: neither a colour (white, #00b140, '
                    f'rgb(0, 177, 64)) nor a picture ({found})'
                )
        photo = load_photo(colour_or_image, 'background')
        self._image = to_srgb(*photo)

    def digest(self) -> str:
        """SHA-256 of the colour, or of the picture's size and pixels, in hexadecimal digits."""
        if self._image is None:
            return hashlib.sha256(bytes(self._colour)).hexdigest()
        pixels = np.ascontiguousarray(self._image)
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()

    def of_size(self, height: int, width: int) -> np.ndarray:
        """Makes the background of a photo; a picture is cropped about its centre and resized.

        Args:
          height: Height of the photo in pixels.
          width: Width of the photo in pixels.

        Returns:
          uint8 [height, width, 3], which may be read-only.
        """
        if self._image is None:
            return np.broadcast_to(np.array(self._colour, np.uint8), (height, width, 3))
        return cover(self._image, height, width)


def parse_colour(text: str) -> tuple[int, int, int] | None:
    """Reads a colour as CSS writes it: 'white', '#00b140', 'rgb(0, 177, 64)'.

    Args:
      text: The colour.

    Returns:
      Red, green and blue in [0, 255]; None if the text is no colour.

    Raises:
      ImageError: The colour is not opaque.
    """
    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        return None
    if colour[3:] not in ((), (255,)):
        raise ImageError(f'{text}: expected an opaque colour')
    red, green, blue = colour[:3]
    is_one = min(red, green, blue) >= 0 and max(red, green, blue) <= 255  # not rgb(999, 0, 0)
    return (red, green, blue) if is_one else None


def cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Crops a picture about its centre to the proportions of another, and resizes it to its size.

    Args:
      image: uint8 or float32, [H, W] or [H, W, C].
      height: Height of the other in pixels.
      width: Width of the other in pixels.

    Returns:
      [height, width] or [height, width, C], of the same type.
    """
    rows, columns = image.shape[:2]
    scale = min(rows / height, columns / width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (rows - tall) // 2, (columns - wide) // 2
    return resize(image[top : top + tall, left : left + wide], height, width)


def blur_background(image: np.ndarray, alpha: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs what is behind a person, without the person's colours running into it.

    Each pixel becomes the mean of those about it, weighted by a Gaussian and by 1 − 2 · alpha, so
    that what is rather the person counts nothing.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].
      sigma: Standard deviation of the Gaussian in pixels, more than 0.

    Returns:
      uint8 [H, W, 3], a background for `composite`.
    """
    height, width = alpha.shape
    scale = min(1, _BLUR / sigma)
    small = max(1, round(scale * height)), max(1, round(scale * width))
    weight = np.clip(1 - 2 * resize(alpha, *small)[..., None], _LEAST_WEIGHT, 1)
    weighted = np.concatenate([resize(image, *small) * weight, weight], axis=-1)
    # What lies beyond the edge is like what lies within, not black.
    blurred = cv2.GaussianBlur(weighted, (0, 0), scale * sigma, borderType=cv2.BORDER_REFLECT)
    colours = blurred[..., :3] / blurred[..., 3:]
    return np.round(np.clip(resize(colours, height, width, cv2.INTER_LINEAR), 0, 255)).astype(
        np.uint8
    )
