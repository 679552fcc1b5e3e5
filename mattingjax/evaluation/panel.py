"""Draws predicted and true alphas of photos side by side, with their difference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mattingjax.images import resize
from mattingjax.images.compositing import to_uint8
from mattingjax.images.sheets import make_row, make_sheet, scale_size

DIFFERENCE = 'difference (red: too much, blue: too little)'
_SIDE = 320  # the longer side of a picture in pixels
_TOO_MUCH, _TOO_LITTLE = (205, 15, 15), (15, 60, 215)
_PERSON = 225  # the grey of a true alpha of 1 in the picture of the difference


def draw_row(
    image: np.ndarray | None,
    pred_alpha: np.ndarray,
    true_alpha: np.ndarray,
    titles: tuple[str, str] = ('predicted alpha', 'true alpha'),
) -> dict[str, np.ndarray]:
    """Draws the pictures of one photo.

    Args:
      image: The photo, uint8 [h, w, 3]; None leaves out the photo and its cut-out.
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      titles: The titles of the two alphas.

    Returns:
      Title → picture, uint8, RGB or grey, its longer side 320 pixels.
    """
    size = scale_size(true_alpha.shape, _SIDE)
    pred, true = (
        np.clip(resize(alpha.astype(np.float32), *size), 0, 1) for alpha in (pred_alpha, true_alpha)
    )
    row = {
        titles[0]: to_uint8(pred),
        titles[1]: to_uint8(true),
        DIFFERENCE: _draw_difference(pred, true),
    }
    if image is None:
        return row
    photo, _, cutout = make_row(resize(image, *size), pred)
    return {'photo': photo, **row, 'cut-out': cutout}


def draw_panel(
    pictures: Mapping[str, Mapping[str, np.ndarray]], captions: Mapping[str, list[str]]
) -> np.ndarray:
    """Places the pictures of photos in rows, with titles on top and a caption above each row.

    Args:
      pictures: Name of each photo, at least one → title → picture, as `draw_row` draws them.
      captions: Name of each photo → the lines of text above its row.

    Returns:
      uint8 [h, w, 3].
    """
    rows = pictures.values()
    titles = max(map(list, rows), key=len)  # a row may lack its photo
    return make_sheet(
        [[row.get(title) for title in titles] for row in rows],
        titles,
        [captions[name] for name in pictures],
    )


def _draw_difference(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Draws the true alpha in light grey, errors in red and blue, saturated from 0.5 on."""
    difference = pred - true
    colour = np.where(difference[..., None] > 0, _TOO_MUCH, _TOO_LITTLE)
    person = 255 + true[..., None] * (_PERSON - 255)
    weight = np.minimum(1, 2 * np.abs(difference))[..., None]
    return np.round(person + weight * (colour - person)).astype(np.uint8)
