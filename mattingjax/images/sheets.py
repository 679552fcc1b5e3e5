"""Sheets for a person to judge mattes by: pictures in rows, with titles and captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mattingjax.images.compositing import composite, to_uint8
from mattingjax.images.pixels import resize

_PANEL_SIDE = 640


class _Look(NamedTuple):
    """Measures of a sheet in pixels, and the colour of its titles."""

    gap: int  # around each picture
    header: int  # above the first row
    title_top: int
    title_colour: str
    font_size: int
    line: int  # height of a caption's line


_UNTITLED = _Look(8, header=8, title_top=0, title_colour='black', font_size=10, line=0)
_TITLED = _UNTITLED._replace(header=20, title_top=4)
_CAPTIONED = _Look(12, header=45, title_top=12, title_colour='dimgrey', font_size=15, line=21)


def make_sheet(
    rows: Sequence[Sequence[np.ndarray | None]],
    titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
) -> np.ndarray:
    """Places pictures in rows and columns on white.

    Args:
      rows: uint8 pictures, RGB [h, w, 3] or grey [h, w]; None leaves a place empty, and a row may
        be shorter than others.
      titles: What stands above each column; none by default.
      captions: The lines of text above each row; none by default.

    Returns:
      uint8 [h, w, 3].
    """
    look = _CAPTIONED if captions else _TITLED if titles else _UNTITLED
    captions = captions or [()] * len(rows)
    font = ImageFont.load_default(look.font_size)
    lefts, right = [], look.gap
    for i in range(max(map(len, rows))):
        column = [row[i] for row in rows if i < len(row)]
        widths = [picture.shape[1] for picture in column if picture is not None]
        widths += [round(font.getlength(title)) for title in titles[i : i + 1]]
        lefts.append(right)
        right += max(widths) + look.gap
    lines = [line for caption in captions for line in caption]
    right = max([right, *(round(font.getlength(line)) + 2 * look.gap for line in lines)])
    tops, bottom = [], look.header
    for row, caption in zip(rows, captions, strict=True):
        tops.append(bottom)
        height = max(picture.shape[0] for picture in row if picture is not None)
        bottom += look.line * len(caption) + height + look.gap
    canvas = Image.new('RGB', (right, bottom), 'white')
    draw = ImageDraw.Draw(canvas)
    for left, title in zip(lefts, titles, strict=False):
        draw.text((left, look.title_top), title, font=font, fill=look.title_colour)
    for top, row, caption in zip(tops, rows, captions, strict=True):
        for i, line in enumerate(caption):
            colour = 'dimgrey' if i else 'black'
            draw.text((look.gap, top + i * look.line), line, font=font, fill=colour)
        for left, picture in zip(lefts, row, strict=False):
            if picture is not None:
                canvas.paste(Image.fromarray(picture), (left, top + look.line * len(caption)))
    return np.asarray(canvas)


def make_panel(image: np.ndarray, alpha: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Places a photo, its alpha and its cut-out side by side.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].
      foreground: The colours of the cut-out, uint8 [H, W, 3].

    Returns:
      uint8 [h, w, 3], each picture at most 640 pixels high and wide.
    """
    image, alpha, foreground = (shrink(each, _PANEL_SIDE) for each in (image, alpha, foreground))
    return make_sheet([make_row(image, alpha, foreground)])


def make_row(
    image: np.ndarray, alpha: np.ndarray, foreground: np.ndarray | None = None
) -> list[np.ndarray]:
    """Makes a row for `make_sheet`: a photo, its alpha, and its cut-out on a checkerboard.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].
      foreground: The colours of the cut-out, uint8 [H, W, 3]; by default those of the photo.

    Returns:
      Three uint8 pictures: [H, W, 3], [H, W] and [H, W, 3].
    """
    colours = image if foreground is None else foreground
    cutout = composite(colours, alpha, checkerboard(*alpha.shape))
    return [image, to_uint8(alpha), cutout]


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """Resizes a picture whose longer side has more than `side` pixels to that many.

    Args:
      picture: uint8 or float32, [H, W] or [H, W, 3].
      side: Pixels, at least 1.

    Returns:
      [h, w] or [h, w, 3], of the same type; a smaller picture comes back as it is.
    """
    return resize(picture, *scale_size(picture.shape, min(side, max(picture.shape[:2]))))


def scale_size(shape: Sequence[int], side: int) -> tuple[int, int]:
    """Height and width in pixels where the longer side has `side` of them.

    Args:
      shape: Height and width now; what follows them is ignored.
      side: Pixels, at least 1.
    """
    height, width = shape[:2]
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def checkerboard(height: int, width: int, square: int = 12) -> np.ndarray:
    """Draws the pattern that stands for transparency.

    Args:
      height: Height in pixels.
      width: Width in pixels.
      square: Side of the squares in pixels.

    Returns:
      uint8 [height, width, 3].
    """
    rows, columns = np.arange(height)[:, None] // square, np.arange(width) // square
    grey = np.where((rows + columns) % 2, 204, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)
