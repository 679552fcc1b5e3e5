"""Raw frames, one after the other, as other programs pipe them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from mattingjax.errors import VideoError
from mattingjax.inference.video.colours import Look
from mattingjax.inference.video.frames import (
    ArrayPicture,
    Frame,
    Moment,
    Picture,
    SoundTrack,
    Source,
    name_stream,
)

MAX_SIDE = 2**14  # pixels
PIXEL_FORMATS = ('rgb24', 'yuv420p')


def parse_frame_size(text: str, name: str = 'size') -> tuple[int, int]:
    """Reads a size as FFmpeg writes it, the width first.

    Args:
      text: Such as '640x480'.
      name: The name of the caller's argument, for the error message.

    Returns:
      Height and width in pixels.

    Raises:
      VideoError: The text is no size, or a side is not 1 to 16384 pixels long.
    """
    found = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', str(text), re.ASCII)
    if not found or max(map(int, found.groups())) > MAX_SIDE:
        raise VideoError(
            f'{name}: expected WIDTHxHEIGHT in pixels such as 640x480, of 1 to {MAX_SIDE} a side, '
            f'got {text!r}'
        )
    return int(found[2]), int(found[1])


def open_raw_frames(
    stream: BinaryIO, size: tuple[int, int], pixel_format: str, rate: Fraction
) -> Source:
    """Opens raw frames, which a pipe may give in pieces of any size.

    Args:
      stream: Where they come from, such as standard input; it is not closed.
      size: Height and width in pixels.
      pixel_format: 'rgb24', rows of red, green and blue; or 'yuv420p', the planes of Y, U and V as
        FFmpeg packs them: those of U and V have half the sides, rounded up. Its range is limited,
        and its matrix what players guess by the size.
      rate: Frames per second.

    Raises:
      VideoError: The pixel format is none of these.
    """
    if pixel_format not in PIXEL_FORMATS:
        expected = ' or '.join(PIXEL_FORMATS)
        raise VideoError(f'pixel_format: expected {expected}, got {pixel_format!r}')
    return _RawFrames(stream, size, pixel_format, rate)


class _RawFrames(contextlib.AbstractContextManager):
    """See `Source`."""

    pixel_aspect = Fraction(1)
    count: int | None = None
    is_live = False
    sound: tuple[SoundTrack, ...] = ()
    repeated = 0

    def __init__(self, stream: BinaryIO, size: tuple[int, int], pixel_format: str, rate: Fraction):
        self.name = name_stream(stream)
        self._stream = stream
        self._pixel_format = pixel_format
        self._look: Look | None = None
        self.shape = size
        self.rate = rate
        self.time_base = 1 / rate
        self.notes: list[str] = []
        self.damage: str | None = None

    def __exit__(self, *_: object) -> None:
        pass

    def frames(self) -> Iterator[Frame]:
        planes = _plane_shapes(self.shape, self._pixel_format)
        expected = sum(map(_area, planes))
        index = 0
        while len(data := self._read(expected)) == expected:
            moment = Moment(index * self.time_base, self.time_base)
            yield Frame(self._picture(data, planes), (moment,))
            index += 1
        if data:
            self.damage = f'ends within frame {index + 1}: {len(data)} of {expected} bytes'
        if not index:
            raise VideoError(f'{self.name}: {self.damage or "empty, expected raw frames"}')

    def _read(self, size: int) -> bytes:
        """Reads that many bytes, or fewer at the end."""
        pieces: list[bytes] = []
        missing = size
        try:
            while missing and (piece := self._stream.read(missing)):
                pieces.append(piece)
                missing -= len(piece)
        except (OSError, ValueError) as error:  # it is closed, or no file of this program
            raise VideoError(f'{self.name}: cannot be read ({error})') from error
        return pieces[0] if len(pieces) == 1 else b''.join(pieces)

    def _picture(self, data: bytes, planes: tuple[tuple[int, int], ...]) -> Picture:
        numbers = np.frombuffer(data, np.uint8)
        if self._pixel_format == 'rgb24':
            return ArrayPicture(numbers.reshape(*self.shape, 3))
        import av

        frame = av.VideoFrame(self.shape[1], self.shape[0], self._pixel_format)
        for plane, shape in zip(frame.planes, planes, strict=True):
            rows = np.frombuffer(plane, np.uint8).reshape(shape[0], -1)  # type: ignore[call-overload]
            rows[:, : shape[1]] = numbers[: _area(shape)].reshape(shape)
            numbers = numbers[_area(shape) :]
        self._look = self._look or Look(frame)
        return self._look.picture(frame)


def _plane_shapes(size: tuple[int, int], pixel_format: str) -> tuple[tuple[int, int], ...]:
    height, width = size
    if pixel_format == 'rgb24':
        return ((height, 3 * width),)
    chroma = (height + 1) // 2, (width + 1) // 2
    return (size, chroma, chroma)


def _area(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]
