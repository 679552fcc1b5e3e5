"""Makes clips for tests: tiny videos of known pictures at known times, with sound if wanted."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT = 64, 48
_STEP = 5  # levels of grey between two pictures


def grey_of(index: int) -> int:
    """The level of the picture of this index; `index_of` finds it again."""
    return 20 + _STEP * (index % 40)


def index_of(pixels: np.ndarray) -> int:
    """Which picture this is, modulo 40, whatever a codec has done to it."""
    return round((float(pixels.mean()) - 20) / _STEP)


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip to be written.

    Attributes:
      times: Ticks at which the pictures are shown, one grey level each.
      tick: Seconds.
      rate: Pictures per second, on average.
      codec: Name of the encoder of the pictures.
      pixels: The format of the pixels.
      options: The encoder's options.
      size: Width and height.
      sound: Name of the encoder of the sound; None for none.
      sound_start: Seconds at which the sound begins.
      seconds: How long the sound is.
      container_options: Options of the muxer.
    """

    times: Sequence[int] = tuple(range(10))
    tick: Fraction = Fraction(1, 25)
    rate: int = 25
    codec: str = 'libx264'
    pixels: str = 'yuv420p'
    options: dict[str, str] = dataclasses.field(default_factory=dict)
    size: tuple[int, int] = (WIDTH, HEIGHT)
    sound: str | None = None
    sound_start: Fraction = Fraction(0)
    seconds: Fraction = Fraction(2, 5)
    container_options: dict[str, str] = dataclasses.field(default_factory=dict)

    def write(self, target: Path | io.BytesIO, container: str | None = None, **changes: Any):
        """Writes the clip.

        Args:
          target: A file, whose ending gives the format, or memory.
          container: The format, if the ending does not give it.
          changes: Attributes of the video stream, such as its `color_range`.
        """
        name = target if isinstance(target, io.BytesIO) else str(target)
        with av.open(name, 'w', format=container, options=self.container_options) as output:
            video = output.add_stream(self.codec, rate=self.rate)
            video.width, video.height = self.size
            video.pix_fmt = self.pixels
            video.options = {**_default_options(self.codec), **self.options}
            video.codec_context.time_base = self.tick
            for name, value in changes.items():
                setattr(video, name, value)
            sound = output.add_stream(self.sound, rate=48000) if self.sound else None
            packets = [*self._pictures(video), *(self.encode_sound(sound) if sound else ())]
            for packet in sorted(packets, key=_order):
                output.mux(packet)

    def _pictures(self, stream: Any) -> list[Any]:
        packets = []
        for index, time in enumerate(self.times):
            pixels = np.full((self.size[1], self.size[0], 3), grey_of(index), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, 'rgb24')
            frame.pts, frame.time_base = time, self.tick
            packets += stream.encode(frame)
        return packets + stream.encode(None)

    def encode_sound(self, stream: Any) -> list[Any]:
        """The packets of a tone, encoded by a stream of a container that is being written."""
        count, packets = int(self.seconds * 48000), []
        tone = np.sin(np.arange(count) * (440 * 2 * np.pi / 48000)) * 8000
        size = stream.codec_context.frame_size or 1024
        for begin in range(0, count, size):
            samples = tone[None, begin : begin + size].astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format='s16', layout='mono')
            frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
            frame.pts = begin + int(self.sound_start * 48000)
            packets += stream.encode(frame)
        return packets + stream.encode(None)


def packets_of(path: Path, kind: str) -> list[Any]:
    """The packets of a file's first stream of a kind, 'video' or 'audio', without FFmpeg's last."""
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(**{kind: 0}) if packet.size]


def damaged(path: Path, indices: Sequence[int], keep: int = 4) -> bytes:
    """A file's bytes with some packets of its video overwritten.

    Args:
      path: The file.
      indices: Which packets, in the order of the file.
      keep: The first bytes of each that are kept.
    """
    data = bytearray(path.read_bytes())
    packets = packets_of(path, 'video')
    for index in indices:
        begin, end = packets[index].pos + keep, packets[index].pos + packets[index].size
        data[begin:end] = np.random.default_rng(0).bytes(end - begin)
    return bytes(data)


def _default_options(codec: str) -> dict[str, str]:
    return {
        'libx264': {'preset': 'ultrafast', 'crf': '18'},
        'libx265': {'preset': 'ultrafast', 'x265-params': 'log-level=none'},
        'mpeg4': {'qmin': '1', 'qmax': '1'},
        'libvpx-vp9': {'deadline': 'realtime', 'cpu-used': '8'},
    }.get(codec, {})


def _order(packet: Any) -> Fraction:
    time = packet.pts if packet.dts is None else packet.dts
    return time * packet.time_base
