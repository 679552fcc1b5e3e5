"""What a matte is for: cut-outs, composites, and panels that a person can judge it by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from mattingjax.errors import ImageError
from mattingjax.images import check_alpha, check_image, load_image, resize

_PANEL_HEIGHT = 640


def to_uint8(values: np.ndarray) -> np.ndarray:
    """[0, 1] → [0, 255], rounded."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def estimate_foreground(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The colours of the person alone, also where hair lets the background through.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].

    Returns:
      uint8 [H, W, 3].

    Raises:
      ImageError: An array has another type or shape.

    References:
      Germer et al., Fast Multi-Level Foreground Estimation (https://arxiv.org/abs/2006.14970), as
      pymatting has it.
    """
    check_image(image)
    check_alpha(alpha, image)
    # Imported late: the first import after an installation compiles pymatting, which takes a while.
    from pymatting.foreground.estimate_foreground_ml import estimate_foreground_ml

    if image.shape[:2] == (1, 1):  # pymatting divides by the logarithm of the longer side
        image, alpha = np.repeat(image, 2, axis=0), np.repeat(alpha, 2, axis=0)
        return estimate_foreground(image, alpha)[:1]
    return to_uint8(estimate_foreground_ml(image.astype(np.float32) / 255, alpha))


def cut_out(foreground: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Makes a transparent picture, its colours not premultiplied.

    Args:
      foreground: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].

    Returns:
      uint8 [H, W, 4], RGBA.

    Raises:
      ImageError: An array has another type or shape.
    """
    check_image(foreground, 'foreground')
    check_alpha(alpha, foreground)
    return np.dstack([foreground, to_uint8(alpha)])


def composite(foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Alpha · foreground + (1 − alpha) · background.

    Args:
      foreground: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].
      background: uint8 [H, W, 3].

    Returns:
      uint8 [H, W, 3].

    Raises:
      ImageError: An array has another type or shape.
    """
    check_image(foreground, 'foreground')
    check_image(background, 'background')
    check_alpha(alpha, foreground)
    check_alpha(alpha, background)
    weight = alpha[..., None].astype(np.float32)
    return np.round(weight * foreground + (1 - weight) * background).astype(np.uint8)


class Background:
    """What a composite lies on: one colour, or a picture that covers the photo.

    Args:
      colour_or_image: A colour as CSS writes it ('white', '#00b140', 'rgb(0, 177, 64)'), or a
        picture's path.

    Raises:
      ImageError: It is neither.
    """

    def __init__(self, colour_or_image: str):
        self._image: np.ndarray | None = None
        try:
            self._colour = ImageColor.getrgb(colour_or_image)[:3]
        except ValueError as error:
            if not Path(colour_or_image).is_file():
                raise ImageError(
                    f'{colour_or_image}: neither a colour (white, #00b140, rgb(0, 177, 64)) nor a '
                    'picture'
                ) from error
            self._image = load_image(colour_or_image)

    def of_size(self, height: int, width: int) -> np.ndarray:
        """uint8 [height, width, 3]; a picture is cropped about its centre."""
        if self._image is None:
            return np.full((height, width, 3), self._colour, np.uint8)
        rows, columns = self._image.shape[:2]
        scale = min(rows / height, columns / width)
        tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (rows - tall) // 2, (columns - wide) // 2
        cropped = self._image[top : top + tall, left : left + wide]
        return resize(cropped, height, width)


def checkerboard(height: int, width: int, square: int = 12) -> np.ndarray:
    """The pattern that stands for transparency: uint8 [height, width, 3]."""
    rows, columns = np.arange(height)[:, None] // square, np.arange(width) // square
    grey = np.where((rows + columns) % 2, 204, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def make_panel(image: np.ndarray, alpha: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Photo, alpha and cut-out side by side, for a person to look at.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].
      foreground: uint8 [H, W, 3].

    Returns:
      uint8 [h, w, 3], each picture at most 640 pixels high and wide.
    """
    scale = min(1.0, _PANEL_HEIGHT / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    image, alpha, foreground = (
        resize(picture, height, width) for picture in (image, alpha, foreground)
    )
    cutout = composite(foreground, alpha, checkerboard(height, width))
    return make_sheet([[image, to_uint8(alpha), cutout]])


def make_sheet(rows: list[list[np.ndarray]], titles: Sequence[str] = ()) -> np.ndarray:
    """Pictures in rows on white, 8 pixels apart.

    Args:
      rows: uint8 pictures, RGB [h, w, 3] or grey [h, w], of one height in each row.
      titles: Written above the pictures of the first row.

    Returns:
      uint8 [h, w, 3].
    """
    gap = 8
    top = gap + (12 if titles else 0)
    height = sum(row[0].shape[0] + gap for row in rows) + top
    width = max(sum(picture.shape[1] + gap for picture in row) for row in rows) + gap
    canvas = Image.new('RGB', (width, height), 'white')
    draw = ImageDraw.Draw(canvas)
    for title, picture, i in zip(titles, rows[0], range(len(rows[0])), strict=False):
        left = gap + sum(other.shape[1] + gap for other in rows[0][:i])
        draw.text((left, 4), title[: picture.shape[1] // 6], fill='black')
    for row in rows:
        left = gap
        for picture in row:
            canvas.paste(Image.fromarray(picture), (left, top))
            left += picture.shape[1] + gap
        top += row[0].shape[0] + gap
    return np.asarray(canvas)
