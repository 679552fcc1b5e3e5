"""Colours painted on pixels, with smooth edges: faces, trimmings, backgrounds."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike

from mattingjax.data.synthetic.drawing import Region

_SHIFT = 4  # OpenCV takes coordinates in sixteenths


class Painting:
    """The colours of a region, in 8 bits because OpenCV draws smooth edges only there.

    Args:
      colours: The colours to paint over, float [h, w, 3] in [0, 1].
      region: The region of the picture.
      place: Maps points [..., 2] of the drawing to the scene.
    """

    def __init__(
        self, colours: np.ndarray, region: Region, place: Callable[[ArrayLike], np.ndarray]
    ):
        self._pixels = np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8)
        self._region = region
        self._place = place

    @property
    def colours(self) -> np.ndarray:
        """The colours as painted so far, float32 [h, w, 3] in [0, 1]."""
        return self._pixels.astype(np.float32) / 255

    def fill(self, outline: ArrayLike, colour: np.ndarray) -> None:
        """Fills a closed outline [n, 2]."""
        points = [self._fixed(outline)]
        cv2.fillPoly(self._pixels, points, _value(colour), cv2.LINE_AA, _SHIFT)

    def box(self, corner: ArrayLike, opposite: ArrayLike, colour: np.ndarray) -> None:
        """Fills a rectangle."""
        (left, top), (right, bottom) = np.asarray(corner), np.asarray(opposite)
        self.fill([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def line(self, path: ArrayLike, colour: np.ndarray, width: float) -> None:
        """Draws an open line [n, 2] of a width in units of the scene, at least one pixel."""
        points = [self._fixed(path)]
        thickness = max(1, round(width * self._region.size))
        cv2.polylines(self._pixels, points, False, _value(colour), thickness, cv2.LINE_AA, _SHIFT)

    def _fixed(self, points: ArrayLike) -> np.ndarray:
        region = self._region
        # In OpenCV whole numbers are the centres of pixels.
        pixels = self._place(points) * region.size - (region.left, region.top) - 0.5
        return np.round(pixels * (1 << _SHIFT)).astype(np.int32)


def _value(colour: np.ndarray) -> list[float]:
    return (np.clip(colour, 0, 1) * 255).tolist()
