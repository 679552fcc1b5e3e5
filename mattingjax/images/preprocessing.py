"""How a photo becomes the input of a network: its size, and what its values are scaled to."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from mattingjax.config.schema import Schema
from mattingjax.errors import ConfigError, ImageError
from mattingjax.images.pixels import resize

MIN_SIDE, MAX_ASPECT = 16, 16  # pixels of a photo's short side; its long side over the short one
MAX_INPUT_SIDE = 2**14  # pixels


@dataclasses.dataclass(frozen=True)
class Preprocessing(Schema):
    """How a photo becomes the network's input.

    Attributes:
      mean: The numbers that are subtracted from the RGB values in [0, 255].
      std: The numbers by which the differences are divided.
      resize: 'short_side' keeps the aspect ratio and brings the short side to the input size;
        'exact' brings both sides to it.
      multiple_of: The network's stride: both sides of the input are multiples of this, in pixels.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str
    multiple_of: int

    def validate(self) -> None:
        self.require(all(abs(value) <= 1e6 for value in self.mean), 'mean', 'at most 1e6')
        self.require(all(1e-3 <= value <= 1e6 for value in self.std), 'std', '1e-3 to 1e6')
        self.require(self.resize in ('short_side', 'exact'), 'resize', "'short_side' or 'exact'")
        self.require(self.multiple_of >= 1, 'multiple_of', 'at least 1 pixel')


def check_input_size(
    size: int, preprocessing: Preprocessing, where: str, largest: int = MAX_INPUT_SIDE
) -> None:
    """Raises ConfigError, beginning with `where`, unless a network may have that input size.

    Args:
      size: The short side, or both sides, of the input in pixels.
      preprocessing: How a photo becomes the network's input; it has the stride.
      where: What the message begins with, such as the name of an argument.
      largest: The largest size in pixels.
    """
    check_side(size, preprocessing, f'{where}: expected', largest)


def check_side(side: int, preprocessing: Preprocessing, expected: str, largest: int) -> None:
    """Raises ConfigError, beginning with `expected`, unless the stride divides a side.

    Args:
      side: A side of the input in pixels.
      preprocessing: How a photo becomes the network's input; it has the stride.
      expected: What the message begins with.
      largest: The largest side in pixels.
    """
    multiple = preprocessing.multiple_of
    possible = isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= largest
    if not possible or side % multiple:
        raise ConfigError(
            f'{expected} a multiple of {multiple} pixels, {multiple} to {largest}, got {side!r}'
        )


def network_size(
    height: int, width: int, input_size: int, preprocessing: Preprocessing
) -> tuple[int, int]:
    """The size at which a network sees a photo.

    With 'exact' preprocessing it is the input size. With 'short_side' it is MODNet's own rule: a
    photo that is smaller than the input size altogether, or larger altogether, is scaled so that
    its short side has the input size, any other keeps its size; then both sides are rounded down
    to a multiple of the network's stride.

    Args:
      height: The photo's height in pixels.
      width: The photo's width in pixels.
      input_size: The network's input size in pixels.
      preprocessing: How the network wants photos to be resized.

    Returns:
      Height and width in pixels.

    Raises:
      ImageError: The photo is too small or too thin for a matte.
    """
    multiple = preprocessing.multiple_of
    short, long = sorted((height, width))
    if short < MIN_SIDE or long > MAX_ASPECT * short:
        raise ImageError(
            f'expected a photo of at least {MIN_SIDE} pixels a side and no thinner than '
            f'1:{MAX_ASPECT}, got {width}x{height}'
        )
    if preprocessing.resize == 'exact':
        return input_size, input_size
    new_short, new_long = short, long
    if long < input_size or short > input_size:
        new_short, new_long = input_size, int(long / short * input_size)
    new_short, new_long = (side - side % multiple for side in (new_short, new_long))
    if new_short < multiple:
        raise ImageError(
            f'expected a photo whose short side is at least {multiple} pixels where the long one '
            f'is {input_size} or more, got {width}x{height}'
        )
    return (new_short, new_long) if height <= width else (new_long, new_short)


def resize_photo(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a photo, [H, W, 3] in [0, 255], to the size in pixels at which a network sees it.

    By area whether it shrinks or grows, as the original MODNet does it; returns float32.
    """
    return resize(image.astype(np.float32), height, width, enlarge=cv2.INTER_AREA)
