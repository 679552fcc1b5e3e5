"""Frames of any pixel format to RGB of 8 bits, by FFmpeg's swscale."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np

from mattingjax.errors import VideoError
from mattingjax.inference.video.colours.high_dynamic_range import to_srgb
from mattingjax.inference.video.colours.look_up_tables import TOP, LookUpTable
from mattingjax.inference.video.colours.tags import LIMITED, ColourTags

_LIMITED_WHITE = 255 * 256  # the 16-bit white that swscale makes of YUV in limited range


class Converter:
    """Converts frames to sRGB; they are neither turned nor put on white. Threads may share it.

    swscale makes planes of red, green and blue, which OpenCV interleaves: right to a level, in a
    fifth of the time in which swscale makes packed RGB that is.

    Args:
      frame: One of the frames, an `av.VideoFrame`.
      tags: What the numbers in them mean; `ColourTags.write` has written it to every other frame.

    Attributes:
      has_alpha: Whether the frames can be transparent.

    Raises:
      VideoError: Frames of this pixel format cannot be converted.
    """

    def __init__(self, frame: Any, tags: ColourTags):
        parts = frame.format.components
        self.has_alpha = frame.format.has_palette or any(part.is_alpha for part in parts)
        self._table = _create_table(tags) if tags.gamut else None
        is_grey = sum(not part.is_alpha for part in parts) == 1 and not frame.format.has_palette
        # swscale takes any grey for one of full range.
        self._levels = _limited_levels() if is_grey and tags.range == LIMITED else None
        self._local = threading.local()
        tags.write(frame)
        self._reformat(frame, 2, 2, 'gbrp')  # whether it can be done

    def convert(self, frame: Any, height: int, width: int) -> np.ndarray:
        """Scales and converts a frame.

        Returns:
          uint8 [height, width, 3] sRGB; scaled by area where a side shrinks.

        Raises:
          VideoError: The frame cannot be converted.
        """
        if self._table:
            planar = self._table.apply(self._reformat(frame, height, width, 'gbrp16le'))
            return cv2.convertScaleAbs(_interleave(planar), alpha=255 / _LIMITED_WHITE)
        pixels = _interleave(self._reformat(frame, height, width, 'gbrp'))
        return pixels if self._levels is None else cv2.LUT(pixels, self._levels)

    def alpha(self, frame: Any, height: int, width: int) -> np.ndarray:
        """The scaled alpha of a frame, uint8 [height, width]."""
        return read_plane(self._reformat(frame, height, width, 'gbrap'), 3)

    def _reformat(self, frame: Any, height: int, width: int, pixel_format: str) -> Any:
        import av
        from av.video.reformatter import Interpolation, VideoReformatter

        reformatter: Any = self._local.__dict__.setdefault('reformatter', VideoReformatter())
        right = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
        try:
            return reformatter.reformat(
                frame,
                width,
                height,
                pixel_format,
                interpolation=Interpolation.AREA | right,
                threads=1,  # others work on frames of their own
            )
        except (av.FFmpegError, MemoryError) as error:
            name = frame.format.name
            raise VideoError(f'frames of the pixel format {name} cannot be converted') from error


def _create_table(tags: ColourTags) -> LookUpTable:
    gamut = tags.gamut
    assert gamut
    white = _LIMITED_WHITE if tags.range == LIMITED else 2**16 - 2 ** max(0, 16 - tags.depth)

    def look_up(codes: np.ndarray) -> np.ndarray:
        return to_srgb(codes * (TOP / white), gamut) * (_LIMITED_WHITE / TOP)

    return LookUpTable(look_up)


def _limited_levels() -> np.ndarray:
    """Grey of limited range as grey of full range, uint8 [256]."""
    return np.round(np.clip((np.arange(256) - 16) * (255 / 219), 0, 255)).astype(np.uint8)


def _interleave(frame: Any) -> np.ndarray:
    green, blue, red = (read_plane(frame, index) for index in range(3))
    return cv2.merge((red, green, blue))


def read_plane(frame: Any, index: int) -> np.ndarray:
    """The numbers of a plane of an `av.VideoFrame` that has the size of the picture: [H, W]."""
    plane: Any = frame.planes[index]
    numbers = np.frombuffer(plane, np.uint8 if frame.format.components[0].bits <= 8 else '<u2')
    return numbers.reshape(plane.height, -1)[: frame.height, : frame.width]
