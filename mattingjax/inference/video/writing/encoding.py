"""Encodes pictures as the packets of a video, with the times at which they are shown."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from mattingjax.inference.video.colours.tags import BT709, FULL, LIMITED
from mattingjax.inference.video.frames import Moment, SoundTrack
from mattingjax.inference.video.writing.containers import Coding

_SOURCES = {2: 'gray', 3: 'rgb24', 4: 'rgba'}  # FFmpeg's names of our pictures
_SRGB_CURVE = 13  # of ITU-T H.273
_GREY = 128  # chroma of what has no colour
# What videos have as black and white, instead of 0 and 255 (ITU-R BT.709, 8 bits).
_BLACK, _WHITE = 16, 235
_LIMITED_GREYS = np.round(np.linspace(_BLACK, _WHITE, 256)).astype(np.uint8)
_SLOWEST, _FASTEST = 1, 240  # frames a second that encoders are told at least and at most
_KEY_SECONDS = 2
_THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))  # the network needs the others
_LARGEST = 2**31 - 1  # of the two numbers of a fraction in FFmpeg


@dataclasses.dataclass(frozen=True)
class Format:
    """What a writer knows of its source; the attributes are those of `frames.Source`.

    Attributes:
      shape: Height and width in pixels.
      pixel_aspect: Width of a pixel divided by its height.
      rate: Frames per second, on average.
      time_base: Seconds; the times of frames are multiples of it.
      sound: The sound.
    """

    shape: tuple[int, int]
    pixel_aspect: Fraction
    rate: Fraction
    time_base: Fraction
    sound: tuple[SoundTrack, ...] = ()


class Encoder:
    """Encodes the pictures of a video.

    Encoders are told that pictures come one after the other at the average rate, so that no time
    base or irregular time troubles them; their packets then get the true times.

    Args:
      container: The `av.container.OutputContainer`, which gets a new stream.
      coding: How to encode.
      format: What is known of the source.
    """

    def __init__(self, container: Any, coding: Coding, format: Format):
        self._time_base = _usable(format.time_base)
        self._usual = max(1, round(1 / (format.rate * self._time_base)))
        self._moments: dict[int, Moment] = {}
        self._count = 0
        self._latest = -_LARGEST * _LARGEST
        self._convert = _create_conversion(coding)
        rate = min(max(format.rate, Fraction(_SLOWEST)), Fraction(_FASTEST))
        rate = rate.limit_denominator(1001)
        height, width = format.shape
        options = dict(coding.options)
        self._stream = container.add_stream(
            coding.encoder, rate, options, width=width, height=height, time_base=1 / rate
        )
        self._stream.time_base = self._time_base
        context = self._stream.codec_context
        context.pix_fmt = coding.pixels
        context.thread_count = _THREADS if coding.parallel else 1
        context.gop_size = 1 if coding.independent else max(1, round(_KEY_SECONDS * rate))
        context.sample_aspect_ratio = format.pixel_aspect.limit_denominator(1000)
        context.color_range = FULL if coding.full_range else LIMITED
        context.color_primaries = BT709
        context.color_trc = BT709
        if coding.pixels in ('bgra', 'bgr0'):
            context.color_trc = _SRGB_CURVE
            context.colorspace = 0  # no matrix: it is RGB
        else:
            context.colorspace = BT709

    def encode(self, picture: np.ndarray, moments: tuple[Moment, ...]) -> Iterator[Any]:
        """Yields packets, of this picture or of earlier ones.

        Args:
          picture: uint8 [H, W], [H, W, 3] RGB or [H, W, 4] RGBA, as the coding holds it.
          moments: When it is shown.
        """
        frame = self._convert(picture)
        for moment in moments:
            self._moments[self._count] = moment
            frame.pts = self._count
            frame.time_base = self._stream.codec_context.time_base
            self._count += 1
            yield from map(self._at_its_time, self._stream.encode(frame))

    def flush(self) -> Iterator[Any]:
        """Yields the packets that are left."""
        yield from map(self._at_its_time, self._stream.encode(None))

    def _at_its_time(self, packet: Any) -> Any:
        moment = self._moments.pop(round(packet.pts * packet.time_base * self._rate()))
        ticks = max(round(moment.time / self._time_base), self._latest + 1)
        self._latest = ticks
        packet.pts = packet.dts = ticks
        packet.duration = self._usual
        if moment.duration is not None:
            packet.duration = max(1, round(moment.duration / self._time_base))
        packet.time_base = self._time_base
        return packet

    def _rate(self) -> Fraction:
        return 1 / self._stream.codec_context.time_base


def _usable(time_base: Fraction) -> Fraction:
    """The time base, or a usual one where FFmpeg has no numbers for it."""
    usable = max(time_base.numerator, time_base.denominator) <= _LARGEST
    return time_base if usable else Fraction(1, 90000)


def _create_conversion(coding: Coding) -> Callable[[np.ndarray], Any]:
    """A function from a picture to the `av.VideoFrame` that is encoded."""
    import av
    from av.video.reformatter import Colorspace, VideoReformatter

    pixels = coding.pixels
    reformatter = VideoReformatter()  # it keeps its tables
    color_range = FULL if coding.full_range else LIMITED

    def convert(picture: np.ndarray) -> Any:
        if picture.ndim == 2 and not coding.full_range:
            return _limited_grey(picture, pixels)
        source = _SOURCES[picture.ndim if picture.ndim == 2 else picture.shape[2]]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), source)
        return reformatter.reformat(
            frame,
            format=pixels,
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=FULL,
            dst_color_range=color_range,
            threads=1,
        )

    return convert


def _limited_grey(picture: np.ndarray, pixels: str) -> Any:
    """A grey picture in the range of videos; a table takes a quarter of swscale's time.

    Args:
      picture: uint8 [H, W].
      pixels: 'gray' or 'yuv420p'.
    """
    import av

    height, width = picture.shape
    frame = av.VideoFrame(width, height, pixels)
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        if index:
            rows[:] = _GREY
        else:
            rows[:, :width] = cv2.LUT(picture, _LIMITED_GREYS)
    for name, value in (('color_range', LIMITED), ('colorspace', BT709)):
        setattr(frame, name, value)
    return frame
