"""From decoded frames to upright sRGB."""

from __future__ import annotations

from typing import Any

import numpy as np

from mattingjax.images.preprocessing import resize_photo
from mattingjax.inference.video.colours.conversion import Converter
from mattingjax.inference.video.colours.orientation import Turn, read_turn
from mattingjax.inference.video.colours.tags import read_tags
from mattingjax.inference.video.frames import Picture


class Look:
    """How the frames of one video look: their size, their colours, and which side is up.

    It is that of the first frame. Later ones of another size or pixel format are brought to it.
    Threads may share it.

    Args:
      frame: The first frame, an `av.VideoFrame`.

    Attributes:
      shape: Height and width in pixels, upright.
      turned: Whether the sides of the frames are swapped.
      notes: What a user should know, a line each.

    Raises:
      VideoError: Frames of this pixel format cannot be converted.
    """

    def __init__(self, frame: Any):
        self._turn, turn_note = read_turn(frame)
        self._coded = frame.height, frame.width
        self.shape = self._turn.shape(*self._coded)
        self.turned = self._turn.swaps_sides
        self._tags = read_tags(frame)
        self.notes = [note for note in (self._tags.note, turn_note) if note]
        self._converter = Converter(frame, self._tags)
        if self._converter.has_alpha and not frame.format.has_palette:
            self.notes.append('its transparency is put on white')

    def picture(self, frame: Any) -> Picture:
        """The picture of an `av.VideoFrame`, whose own colour properties are overwritten."""
        # The converter writes these to a frame for a moment, and then what was there: only because
        # that is the same can threads share the frame.
        self._tags.write(frame)
        return _FramePicture(frame, self._converter, self._turn, self._coded)


class _FramePicture:
    def __init__(self, frame: Any, converter: Converter, turn: Turn, coded: tuple[int, int]):
        self._frame = frame
        self._converter = converter
        self._turn = turn
        self._coded = coded
        self.shape = turn.shape(*coded)

    def pixels(self) -> np.ndarray:
        pixels = self._converter.convert(self._frame, *self._coded)
        if self._converter.has_alpha:
            pixels = _on_white(pixels, self._converter.alpha(self._frame, *self._coded))
        return self._turn.apply(pixels)

    def resized(self, height: int, width: int) -> np.ndarray:
        target = self._turn.shape(height, width)
        size = self._frame.height, self._frame.width
        shrinks = target[0] <= size[0] and target[1] <= size[1]
        # swscale can scale and convert in one step, which takes an eighth of the time. Where it
        # enlarges it differs from OpenCV.
        if shrinks and size == self._coded and not self._converter.has_alpha:
            pixels = self._converter.convert(self._frame, *target)
            return self._turn.apply(pixels).astype(np.float32)
        return resize_photo(self.pixels(), height, width)


def _on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3], of which uint8 [H, W] is the opacity, over white."""
    opacity = alpha[..., None].astype(np.uint16)
    return ((pixels * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
