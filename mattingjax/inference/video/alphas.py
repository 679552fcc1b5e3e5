"""Reads the alphas of a video: its transparency if it has any, else its grey."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.errors import VideoError
from mattingjax.inference.video.colours.conversion import read_plane
from mattingjax.inference.video.colours.orientation import read_turn
from mattingjax.inference.video.colours.tags import FULL, LIMITED
from mattingjax.inference.video.frames import Moment
from mattingjax.inference.video.reading.containers import (
    Bytes,
    check_size,
    frame_rate,
    has_hidden_alpha,
    open_container,
    open_file,
    pick_video,
)
from mattingjax.inference.video.reading.damage import Extent, decode
from mattingjax.inference.video.reading.timeline import Timeline, without_jumps

# FFmpeg's own decoders of these leave out the transparency, which WebM has beside the pictures.
_WITH_ALPHA = {'vp8': 'libvpx', 'vp9': 'libvpx-vp9'}
# Formats with a plane for every channel, whose samples are bytes, or little-endian and 16 bits.
_PLANAR = re.compile(r'(gray|yuvj?\d+p|yuva\d+p|gbra?p)(\d+le)?')
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601; of grey any weights will do
_GREY = 2  # levels of 255 by which the channels of a grey may differ where they are converted

Read = Callable[[Any], np.ndarray]


def read_alphas(path: Path) -> Iterator[tuple[Moment, np.ndarray]]:
    """Reads a video of alphas, frame by frame.

    What is transparent (RGBA, ProRes 4444, VP9 with alpha in WebM, ...) gives its transparency,
    unless its first picture is grey and opaque everywhere, as that of a matte is in a format that
    always has a channel for it. All else gives its luma: from black, which is 16 of 255 in videos
    of limited range and where nothing is said, to white.

    Args:
      path: A video file.

    Yields:
      The moment of each frame, counted as `open_video` does, and its alpha, float32 [H, W] in
      [0, 1], upright.

    Raises:
      VideoError: It cannot be read, or a frame is damaged.
      ImportError: PyAV is not installed.
    """
    name = os.fspath(path)
    with open_file(path) as file, open_container(Bytes(file), name) as container:
        video = pick_video(container, name)
        timeline, base = Timeline(container, video, Fraction(0), None), video.time_base
        extent = Extent(container, video)
        # Those of the sound tell that the file is whole where it ends after the pictures.
        everything = extent.whole(container.demux())
        packets: Iterator[Any] = filter(
            lambda packet: packet.stream_index == video.index, everything
        )
        if timeline.jumps:
            packets = without_jumps(packets)
        read: Read | None = None
        step = max(1, round(1 / (frame_rate(video) * base)))
        last = -step
        for pts, frame, length in decode(packets, _decoder(video), timeline.jumps):
            tick = last + step if pts is None else timeline.tick(pts)
            if frame is None:
                raise VideoError(f'{name}: the frame at {float(tick * base):.3f} s is damaged')
            if tick <= last or tick < 0:
                continue
            if read is None:
                check_size(frame.width, frame.height, name)
                read, (turn, _) = _choose(frame), read_turn(frame)
            yield Moment(tick * base, length * base if length else None), turn.apply(read(frame))
            last, step = tick, length or step
        if read is None or extent.damage():
            raise VideoError(f'{name}: {extent.damage() or "no frame can be decoded"}')


def at_the_same_time(moment: Moment, other: Moment) -> bool:
    """Whether two moments are a millisecond apart at most: containers round times differently."""
    return abs(moment.time - other.time) <= Fraction(1, 1000)


def _decoder(video: Any) -> Any:
    """A decoder that keeps the transparency."""
    import av

    codec = video.codec_context
    if not has_hidden_alpha(video) or codec.name not in _WITH_ALPHA:
        return codec
    decoder = av.CodecContext.create(_WITH_ALPHA[codec.name], 'r')
    decoder.extradata, decoder.thread_count = codec.extradata, codec.thread_count
    return decoder


def _choose(frame: Any) -> Read:
    """Chooses what alphas are read from, by the first frame."""
    if not any(component.is_alpha for component in frame.format.components):
        return _read_grey
    alpha = _read_transparency(frame)
    if alpha.min() < 1:
        return _read_transparency
    colours = frame.to_ndarray(format='rgb24')
    spread = colours.max(axis=-1) - colours.min(axis=-1)
    return _read_transparency if spread.max() > _GREY else _read_grey


def _read_transparency(frame: Any) -> np.ndarray:
    channels = frame.format.components
    if _PLANAR.fullmatch(frame.format.name):
        return _to_float(read_plane(frame, len(channels) - 1), 0, 2 ** channels[-1].bits - 1)
    return _packed(frame, 'rgba', 'rgba64le')[..., 3]


def _read_grey(frame: Any) -> np.ndarray:
    if frame.format.is_rgb or frame.format.name.startswith('pal'):
        return np.minimum(_packed(frame, 'rgb24', 'rgb48le') @ _LUMA, 1)
    is_full = frame.color_range == FULL or (
        # FFmpeg's own rule for what says nothing: JPEG's formats and mere grey are full.
        not frame.color_range and frame.format.name.startswith(('yuvj', 'gray', 'ya'))
    )
    if not _PLANAR.fullmatch(frame.format.name):
        # The same range on both sides, so that the numbers are only moved to planes of their own.
        side = FULL if is_full else LIMITED
        frame = frame.reformat(format='yuv444p16le', src_color_range=side, dst_color_range=side)
    bits = frame.format.components[0].bits
    if is_full:
        return _to_float(read_plane(frame, 0), 0, 2**bits - 1)
    unit = 2 ** (bits - 8)
    return _to_float(read_plane(frame, 0), 16 * unit, 235 * unit)


def _packed(frame: Any, small: str, large: str) -> np.ndarray:
    """All channels in [0, 1], by way of a format of bytes, or of one of 16 bits for more."""
    is_small = max(component.bits for component in frame.format.components) <= 8
    numbers = frame.to_ndarray(format=small if is_small else large)
    return _to_float(numbers, 0, np.iinfo(numbers.dtype).max)


def _to_float(numbers: np.ndarray, black: int, white: int) -> np.ndarray:
    values = (numbers.astype(np.float32) - black) / (white - black)
    return np.clip(values, 0, 1)
