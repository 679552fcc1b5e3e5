"""The worst photos to look at: what was wrong with each, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mattingjax.images import resize
from mattingjax.images.compositing import checkerboard, composite, to_uint8

DIFFERENCE = 'difference (red: too much, blue: too little)'
_SIDE = 320  # of a picture: the longer one
_GAP = 12
_FONT_SIZE, _LINE = 15, 21
_TOO_MUCH, _TOO_LITTLE = (205, 15, 15), (15, 60, 215)
_PERSON = 225  # the true alpha's grey in the picture of the difference


def draw_row(
    image: np.ndarray | None,
    pred_alpha: np.ndarray,
    true_alpha: np.ndarray,
    titles: tuple[str, str] = ('predicted alpha', 'true alpha'),
) -> dict[str, np.ndarray]:
    """What there is to see of one photo.

    Args:
      image: uint8 [h, w, 3]; None if it is not at hand.
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: Likewise.
      titles: What the two are.

    Returns:
      Title → picture, uint8, RGB or grey, its longer side 320 pixels.
    """
    scale = _SIDE / max(true_alpha.shape)
    height, width = (max(1, round(side * scale)) for side in true_alpha.shape)
    pred, true = (
        np.clip(resize(alpha.astype(np.float32), height, width), 0, 1)
        for alpha in (pred_alpha, true_alpha)
    )
    row = {
        titles[0]: to_uint8(pred),
        titles[1]: to_uint8(true),
        DIFFERENCE: _draw_difference(pred, true),
    }
    if image is None:
        return row
    photo = resize(image, height, width)
    cutout = composite(photo, pred, checkerboard(height, width))
    return {'photo': photo, **row, 'cut-out': cutout}


def draw_panel(
    pictures: Mapping[str, Mapping[str, np.ndarray]], captions: Mapping[str, list[str]]
) -> np.ndarray:
    """Rows of pictures with their titles on top, and a caption above each row.

    Args:
      pictures: Name of each photo → title → picture, as `draw_row` makes them; at least one.
      captions: Name of each photo → the lines above its row.

    Returns:
      uint8 [h, w, 3].
    """
    font = ImageFont.load_default(_FONT_SIZE)
    rows = list(pictures.values())
    titles = max(map(list, rows), key=len)  # a row may lack its photo
    lefts, right = {}, _GAP
    for title in titles:
        lefts[title] = right
        widths = [row[title].shape[1] for row in rows if title in row]
        right += max(*widths, round(font.getlength(title))) + _GAP
    lines = [line for caption in captions.values() for line in caption]
    right = max(right, *(round(font.getlength(line)) + 2 * _GAP for line in lines))
    tops, bottom = {}, _GAP + _LINE
    for name, row in pictures.items():
        tops[name] = bottom + _GAP
        bottom = tops[name] + _LINE * len(captions[name]) + max(p.shape[0] for p in row.values())
    canvas = Image.new('RGB', (right, bottom + _GAP), 'white')
    draw = ImageDraw.Draw(canvas)
    for title, left in lefts.items():
        draw.text((left, _GAP), title, font=font, fill='dimgrey')
    for name, row in pictures.items():
        top = tops[name]
        for i, line in enumerate(captions[name]):
            draw.text((_GAP, top), line, font=font, fill='dimgrey' if i else 'black')
            top += _LINE
        for title, picture in row.items():
            canvas.paste(Image.fromarray(picture), (lefts[title], top))
    return np.asarray(canvas)


def _draw_difference(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The person in light grey; what is wrong in red and blue, of full strength from 0.5 on."""
    difference = pred - true
    colour = np.where(difference[..., None] > 0, _TOO_MUCH, _TOO_LITTLE)
    person = 255 + true[..., None] * (_PERSON - 255)
    weight = np.minimum(1, 2 * np.abs(difference))[..., None]
    return np.round(person + weight * (colour - person)).astype(np.uint8)
