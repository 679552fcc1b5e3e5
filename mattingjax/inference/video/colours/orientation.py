"""Which side of a frame is up: display matrices, and how arrays are turned by them."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import cv2
import numpy as np

from mattingjax.inference.video.colours.side_data import read_side_data

_ONE = 2**16  # the matrix's numbers are of fixed point
_TOLERANCE = 1.0  # degrees that a turn may differ from a quarter before it is worth a note


class Turn(NamedTuple):
    """How a picture becomes upright: rows become columns first, then it is mirrored.

    Attributes:
      swaps_sides: Whether rows become columns.
      upside_down: Whether the order of the rows is then reversed.
      left_right: Whether the order of the columns is then reversed.
    """

    swaps_sides: bool
    upside_down: bool
    left_right: bool

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the turn, or before it from those after it."""
        return (width, height) if self.swaps_sides else (height, width)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turns pixels [H, W, C]; returns contiguous ones, the array itself if nothing is to do."""
        if self.swaps_sides:
            pixels = cv2.transpose(pixels)
        if self.upside_down and self.left_right:
            return cv2.flip(pixels, -1)
        if self.upside_down or self.left_right:
            return cv2.flip(pixels, 0 if self.upside_down else 1)
        return pixels


def read_turn(frame: Any) -> tuple[Turn, str | None]:
    """How an `av.VideoFrame` becomes upright, by its display matrix.

    Returns:
      The turn, and a note for users if the matrix asks for something else.
    """
    a, b, c, d = _read_matrix(frame)
    # A point (x, y), y down, is shown at (a x + c y, b x + d y).
    straight, swapped = abs(a) + abs(d), abs(b) + abs(c)
    if not straight and not swapped:  # the matrix is broken
        return Turn(False, False, False), None
    angle = math.degrees(math.atan2(b, a))
    note = None
    if abs((angle + 45) % 90 - 45) > _TOLERANCE:
        note = f'turned by {angle:.0f} degrees, which is rounded to quarter turns'
    if swapped > straight:
        return Turn(True, b < 0, c < 0), note
    return Turn(False, d < 0, a < 0), note


def _read_matrix(frame: Any) -> tuple[float, float, float, float]:
    matrix = read_side_data(frame, 'DISPLAYMATRIX')
    if matrix is None:
        angle = math.radians(-frame.rotation)  # it counts counterclockwise
        cosine, sine = math.cos(angle), math.sin(angle)
        return cosine, sine, -sine, cosine
    a, b, _, c, d = struct.unpack_from('=5i', matrix)
    return a / _ONE, b / _ONE, c / _ONE, d / _ONE
