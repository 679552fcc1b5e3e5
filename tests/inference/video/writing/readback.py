"""Reads videos back with PyAV alone, and makes pictures and sound to write."""

from __future__ import annotations

import io
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mattingjax.inference.video.frames import Moment, SoundTrack
from mattingjax.inference.video.writing import Format, create_writer

MILLISECOND = Fraction(1, 1000)
SHAPE = (48, 64)


class Video(NamedTuple):
    """What a file holds: its pictures as FFmpeg's planes, and their times."""

    pixels: str
    pictures: list[list[np.ndarray]]
    times: list[Fraction]
    durations: list[Fraction]
    duration: Fraction
    pixel_aspect: Fraction
    tags: tuple[int, int, int, int]  # range, matrix, primaries, transfer
    keys: list[bool]


def read(path: Path, decoder: str | None = None) -> Video:
    """Reads a file; a decoder other than FFmpeg's own is needed for VP9's alpha."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context: Any = stream.codec_context
        if decoder:
            context = av.CodecContext.create(decoder, 'r')
        frames, packets = [], []
        for packet in container.demux(stream):
            frames += context.decode(packet if packet.size else None)
            if packet.size:
                packets.append(packet)
        duration = Fraction(container.duration, av.time_base)
        if stream.duration:
            duration = stream.duration * stream.time_base
        frame = frames[0]
        return Video(
            frame.format.name,
            [planes(one) for one in frames],
            [one.pts * stream.time_base for one in packets],
            [(one.duration or 0) * stream.time_base for one in packets],
            duration,
            stream.sample_aspect_ratio or Fraction(1),
            (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc),
            [one.is_keyframe for one in packets],
        )


def planes(frame: Any) -> list[np.ndarray]:
    deep = '12' in frame.format.name
    result = []
    for plane in frame.planes:
        values = np.frombuffer(plane, np.uint16 if deep else np.uint8)
        result.append(values.reshape(plane.height, -1))
    return result


def grey(video: Video, shape: tuple[int, int]) -> list[np.ndarray]:
    """The alphas in the first planes, of videos in limited or of pictures in full range."""
    height, width = shape
    values = [one[0][:height, :width].astype(float) for one in video.pictures]
    limited = video.tags[0] == 1
    return [np.clip((one - 16) * 255 / 219, 0, 255) if limited else one for one in values]


def rgb(video: Video, shape: tuple[int, int], depth: int = 8) -> list[np.ndarray]:
    """The colours of Y'CbCr planes, by the matrix of BT.709 in the range of videos."""
    height, width = shape
    colours = []
    for one in video.pictures:
        y, u, v = (plane.astype(float) / 2 ** (depth - 8) for plane in one[:3])
        if '420' in video.pixels:
            u, v = (np.repeat(np.repeat(chroma, 2, 0), 2, 1) for chroma in (u, v))
        y, u, v = (plane[:height, :width] for plane in (y, u, v))
        y, u, v = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
        red, blue = y + 1.5748 * v, y + 1.8556 * u
        green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
        colours.append(np.clip(np.dstack([red, green, blue]) * 255, 0, 255))
    return colours


def steady(count: int, rate: Fraction = Fraction(25)) -> list[Moment]:
    return [Moment(index / rate, 1 / rate) for index in range(count)]


def a_format(shape=(48, 64), rate=Fraction(25), time_base=Fraction(1, 25), **others) -> Format:
    return Format(shape, others.pop('pixel_aspect', Fraction(1)), rate, time_base, **others)


def write(path, kind, pictures, moments=None, format=None, **options) -> list[str]:
    """Writes pictures, each at its moment; returns the notes."""
    format = format or a_format(pictures[0].shape[:2])
    moments = moments or steady(len(pictures))
    with create_writer(path, kind, format, **options) as writer:
        for picture, moment in zip(pictures, moments, strict=True):
            writer.write(picture, (moment,))
        writer.finish()
    return writer.notes


def alphas(count: int = 6, shape: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """A soft disc that moves."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    size = min(shape)
    distance = (
        np.hypot(rows - shape[0] / 2, columns - shape[1] / 2 - index * size / 32)
        for index in range(count)
    )
    return [
        np.clip((size / 3 - one) * 400 / size + 128, 0, 255).astype(np.uint8) for one in distance
    ]


def cutouts(count: int = 6, shape: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """Discs in slowly changing colours."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    colours = np.dstack(
        [40 + rows * 150 // shape[0], 220 - columns * 99 // shape[1], rows * 0 + 90]
    )
    return [np.dstack([colours.astype(np.uint8), alpha]) for alpha in alphas(count, shape)]


def sound(
    codec: str, container: str, seconds: float = 0.6, rate: int = 48000, **metadata: str
) -> tuple[Any, SoundTrack]:
    """A tone that FFmpeg has encoded: the open container, and the track with all its packets."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, 'w', container) as output:
        stream = output.add_stream(codec, rate, layout='stereo')
        stream.metadata.update(metadata)
        total = int(seconds * rate)
        wave = np.sin(np.arange(total) * 440 * 2 * np.pi / rate) * 8000
        samples = np.repeat(wave.astype(np.int16), 2)[None]
        frame = av.AudioFrame.from_ndarray(samples, 's16', 'stereo')
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    buffer.seek(0)
    source = av.open(buffer)
    stream = source.streams.audio[0]
    packets = deque(packet for packet in source.demux(stream) if packet.size)
    return source, SoundTrack(stream, packets)


LOSSY = [
    *(('alpha', suffix) for suffix in ('.mp4', '.mov', '.mkv', '.webm')),
    *(('cutout', suffix) for suffix in ('.mov', '.mkv', '.webm')),
    *(('composite', suffix) for suffix in ('.mp4', '.mov', '.mkv', '.webm')),
]
ALL = [(*one, False) for one in LOSSY] + [
    (kind, '.mkv', True) for kind in ('alpha', 'cutout', 'composite')
]


def decoder(kind, suffix, lossless=False):
    """FFmpeg's own decoder of VP9 does not know of transparency."""
    return 'libvpx-vp9' if kind == 'cutout' and suffix != '.mov' and not lossless else None


def pictures(kind, count=6, shape=SHAPE):
    if kind == 'alpha':
        return alphas(count, shape)
    return [one if kind == 'cutout' else one[..., :3].copy() for one in cutouts(count, shape)]
