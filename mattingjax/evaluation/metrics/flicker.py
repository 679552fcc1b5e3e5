"""Flicker: how much the alphas of a video change where the video does not."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from mattingjax.errors import MattingError
from mattingjax.evaluation.metrics import check_alpha
from mattingjax.images.pixels import check_image

WINDOW = 5  # pixels
NOISE = 3  # levels of 255
DEFINITION = (
    'mean of |alpha − alpha of the frame before| over all pixels that hold still: no mean of red, '
    f'green or blue over {WINDOW}×{WINDOW} pixels differs by more than {NOISE} of 255 from that of '
    'the frame before'
)


def still_pixels(before: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Finds the pixels of a frame that hold still.

    They are those at which no channel differs by more than 3 of 255 from the frame before, after a
    mean over 5×5 pixels: the noise of cameras and codecs is less than that.

    Args:
      before: The frame before, uint8 [H, W, 3].
      photo: The frame, uint8 [H, W, 3].

    Returns:
      bool [H, W].

    Raises:
      ImageError: An array is no photo.
      MattingError: The two differ in size.
    """
    for name, each in (('before', before), ('photo', photo)):
        check_image(each, name)
    if before.shape != photo.shape:
        raise MattingError(
            f'photo: expected the shape of the one before {list(before.shape)}, got '
            f'{list(photo.shape)}'
        )
    difference = cv2.subtract(photo, before, dtype=cv2.CV_32F)
    means = cv2.blur(difference, (WINDOW, WINDOW), borderType=cv2.BORDER_REPLICATE)
    red, green, blue = cv2.split(np.abs(means))
    return cv2.max(cv2.max(red, green), blue) <= NOISE


class Flicker:
    """The mean absolute difference of consecutive alphas where the video holds still.

    Frames are added one by one, each with one alpha or several that are to be compared.
    """

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, dict[str, np.ndarray]] | None = None
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, photo: np.ndarray, alphas: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Adds a frame.

        Args:
          photo: The frame, uint8 [H, W, 3].
          alphas: Name → alpha, float [H, W] in [0, 1]; the same names for each frame.

        Returns:
          Name → the mean over the still pixels of this frame, in [0, 1]; NaN where there is none,
          as in the first frame.

        Raises:
          ImageError: The photo is none.
          MattingError: An alpha has another type, shape or range, or the frames differ in size.
        """
        checked = {name: check_alpha(alpha, name) for name, alpha in alphas.items()}
        for name, alpha in checked.items():
            if alpha.shape != photo.shape[:2]:
                raise MattingError(
                    f"{name}: expected the photo's shape {list(photo.shape[:2])}, got "
                    f'{list(alpha.shape)}'
                )
        before, self._before = self._before, (photo, checked)
        if before is None:
            return dict.fromkeys(alphas, math.nan)
        still = still_pixels(before[0], photo)
        count = int(still.sum())
        self._count += count
        values = {}
        for name, alpha in checked.items():
            total = float(np.abs(alpha - before[1][name])[still].sum())
            self._sums[name] = self._sums.get(name, 0.0) + total
            values[name] = total / count if count else math.nan
        return values

    @property
    def values(self) -> dict[str, float]:
        """Name → the mean over the still pixels of all frames; NaN where there is none."""
        return {
            name: total / self._count if self._count else math.nan
            for name, total in self._sums.items()
        }
