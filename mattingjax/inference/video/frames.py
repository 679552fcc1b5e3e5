"""Pictures of videos, the moments at which they are shown, and the sources of both."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from mattingjax.images.preprocessing import resize_photo

USUAL_RATE = Fraction(25)  # frames per second of what has no rate of its own, as in FFmpeg


class Moment(NamedTuple):
    """When a picture is shown.

    Attributes:
      time: Seconds since the beginning, a multiple of the source's time base.
      duration: Seconds until the next picture; None where the source does not say it.
    """

    time: Fraction
    duration: Fraction | None


class Picture(Protocol):
    """A picture that is decoded, and converted to sRGB when it is asked for; threads may share it.

    Attributes:
      shape: Height and width in pixels, upright.
    """

    shape: tuple[int, int]

    def pixels(self) -> np.ndarray:
        """The picture at its own size: uint8 [H, W, 3] sRGB, upright."""

    def resized(self, height: int, width: int) -> np.ndarray:
        """The picture as a network sees it: float32 [height, width, 3] in [0, 255], upright."""


class ArrayPicture:
    """A picture that is sRGB already.

    Args:
      pixels: uint8 [H, W, 3].
    """

    def __init__(self, pixels: np.ndarray):
        self._pixels = pixels
        self.shape = pixels.shape[0], pixels.shape[1]

    def pixels(self) -> np.ndarray:
        return self._pixels

    def resized(self, height: int, width: int) -> np.ndarray:
        return resize_photo(self._pixels, height, width)


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture and when it is shown; one that stands in for others is shown several times.

    Attributes:
      picture: The picture.
      moments: At least one, in order of time, before all those of the next frame.
    """

    picture: Picture
    moments: tuple[Moment, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class SoundTrack:
    """The sound of a source, as it is read; it is not decoded.

    Attributes:
      stream: The `av.AudioStream` that the packets come from.
      packets: Packets that were read and not yet written, in order. Their times count from the same
        beginning as those of the frames. The thread that reads frames appends to it, the one that
        writes them takes from it.
    """

    stream: Any
    packets: deque[Any]


class Source(contextlib.AbstractContextManager, Protocol):
    """A video that is being read, frame by frame; leaving its context closes it.

    Attributes:
      name: What messages call it, such as its path.
      shape: Height and width of its pictures in pixels, upright.
      pixel_aspect: Width of a pixel divided by its height, upright.
      rate: Frames per second, on average; what it is encoded for.
      time_base: Seconds; the times of frames are multiples of it.
      count: The number of moments that are expected, for a progress bar; None if nobody knows.
      is_live: Whether it goes on while it is being read, as a camera does: frames that come while
        the reader is busy are lost.
      sound: Its sound, which `frames` fills.
      notes: What a user should know of how it is read, such as that it is converted from HDR.
      repeated: Number of moments at which the picture before them is shown, because their own is
        damaged; known in the end.
      damage: What is wrong with the source, once `frames` has ended: a line such as 'ends after
        2.0 s of 10.0 s'; None if all is well.
    """

    name: str
    shape: tuple[int, int]
    pixel_aspect: Fraction
    rate: Fraction
    time_base: Fraction
    count: int | None
    is_live: bool
    sound: tuple[SoundTrack, ...]
    notes: list[str]
    repeated: int
    damage: str | None

    def frames(self) -> Iterator[Frame]:
        """Yields the frames in order of time, to one thread; called once.

        Raises:
          VideoError: There is no frame, or one cannot be used.
        """


def name_stream(stream: BinaryIO) -> str:
    """What messages call an open file: its path, 'standard input' or 'the stream'."""
    name = getattr(stream, 'name', None)
    if name in (0, '<stdin>'):
        return 'standard input'
    return name if isinstance(name, str) else 'the stream'
