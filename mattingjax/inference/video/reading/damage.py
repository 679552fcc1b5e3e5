"""Damaged videos: which frames are lost, and whether the end is missing."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

# Of these containers the duration is in the header; of others FFmpeg estimates it from the end.
_WITH_DURATION = {'mov', 'matroska', 'avi', 'flv', 'asf'}
_TOLERANCE = Fraction(1, 2)  # seconds that headers may be wrong by
# Frames that come later than by these shares of the usual step are odd, or follow a gap; a steady
# video has at most a few odd ones.
_ODD, _GAP, _MOST_ODD = 0.5, 2.5, 0.1
_MOST_GAPS = 3  # that are told
_NOT_CODED = 8  # bytes; MPEG-4's packed bit streams have placeholders for frames
# Every packet of these is a picture that is shown.
_ONE_EACH = {'h264', 'hevc', 'vp9', 'libdav1d', 'av1', 'ffv1', 'mjpeg', 'prores'}


class Decoded(NamedTuple):
    """A frame as it comes from the decoder.

    Attributes:
      pts: Its time in the stream's ticks; None if the file has none.
      frame: The `av.VideoFrame`; None if it is damaged.
      length: Ticks that it lasts; 0 if unknown.
    """

    pts: int | None
    frame: Any
    length: int


class Losses:
    """Tells which packets gave no frame because of damage.

    Packets of some codecs may well give no frame without any damage. Those that do not after an
    error of the decoder or a lost key frame, up to the next key frame, are taken for damaged.

    Args:
      codec: FFmpeg's name of the codec.
      is_cut: Whether the stream may begin between key frames, as broadcasts do.
    """

    def __init__(self, codec: str, is_cut: bool):
        self._codec = codec
        self._is_cut = is_cut
        self._pending: list[tuple[int, int, bool, int]] = []  # pts, serial, is key, duration
        self._serial = 0
        self._suspected = 0  # up to this serial number
        self._in_doubt = False  # until the next key frame
        self._first: int | None = None  # pts of the first packet that can be decoded

    def sent(self, packet: Any):
        """Notes a packet that goes to the decoder."""
        pts = packet.pts
        if self._first is None and (packet.is_keyframe or not self._is_cut):
            self._first = pts
        self._serial += 1
        if packet.is_keyframe:
            self._in_doubt = False
        if self._in_doubt or self._codec in _ONE_EACH:
            self._suspected = self._serial
        if packet.is_corrupt:
            self.failed()
        # Nothing can be decoded before the first key frame, nor what is shown before it.
        if pts is None or self._first is None or pts < self._first or packet.is_discard:
            return
        if not self._is_hidden(packet):
            entry = pts, self._serial, packet.is_keyframe, packet.duration or 0
            heapq.heappush(self._pending, entry)

    def failed(self):
        """Notes an error of the decoder, which may be about any packet that it was sent."""
        self._suspected = self._serial
        self._in_doubt = True

    def before(self, pts: int) -> Iterator[Decoded]:
        """Yields the lost frames before one that has been decoded, in order of time."""
        while self._pending and self._pending[0][0] <= pts:
            lost, serial, is_key, length = heapq.heappop(self._pending)
            if lost < pts and is_key:
                self.failed()
            if lost < pts and serial <= self._suspected:
                yield Decoded(lost, None, length)

    def rest(self) -> Iterator[Decoded]:
        """Yields the frames that are lost at the end of the file."""
        # The decoder is emptied at once, after which its errors cannot be told: all are lost.
        while self._pending:
            lost, _, _, length = heapq.heappop(self._pending)
            yield Decoded(lost, None, length)

    def _is_hidden(self, packet: Any) -> bool:
        """Whether a packet is not to be shown: VP8's have a bit for it (RFC 6386, 9.1)."""
        if self._codec == 'vp8':
            return packet.size > 0 and not bytes(packet)[0] & 0x10
        return self._codec == 'mpeg4' and packet.size < _NOT_CODED


def decode(packets: Iterable[Any], codec: Any, is_cut: bool) -> Iterator[Decoded]:
    """Decodes a stream, with a note at the place of every frame that is damaged.

    Args:
      packets: The packets of the stream, without one that ends it.
      codec: Its `av.VideoCodecContext`.
      is_cut: Whether the stream may begin between key frames.
    """
    import av

    losses = Losses(codec.name, is_cut)
    for packet in packets:
        if not packet.size:  # AVI's way to show a frame for longer; to the decoder it is the end
            continue
        losses.sent(packet)
        try:
            frames = codec.decode(packet)
        except av.FFmpegError:
            losses.failed()
            continue
        yield from _with_losses(frames, losses)
    try:
        frames = codec.decode(None)
    except av.FFmpegError:
        frames = []
    yield from _with_losses(frames, losses)
    yield from losses.rest()


def _with_losses(frames: list[Any], losses: Losses) -> Iterator[Decoded]:
    for frame in frames:
        if frame.pts is not None:
            yield from losses.before(frame.pts)
        yield Decoded(frame.pts, None if frame.is_corrupt else frame, frame.duration or 0)


class Gaps:
    """Finds where frames are missing altogether, as those of a damaged piece of a Matroska file.

    Only in videos nearly all of whose frames follow each other at one rate: in others a frame may
    well be shown for long.

    Args:
      rate: Frames per second.
      time_base: Seconds of a tick.
    """

    def __init__(self, rate: Fraction, time_base: Fraction):
        self._step = 1 / (rate * time_base)
        self._time_base = time_base
        self._last: int | None = None
        self._steps = self._odd = 0
        self._gaps: list[tuple[int, int]] = []

    def add(self, tick: int) -> None:
        """Adds the time of the next frame."""
        if self._last is not None:
            step = tick - self._last
            self._steps += 1
            self._odd += abs(step - self._step) > _ODD * self._step
            if step > _GAP * self._step and len(self._gaps) < _MOST_GAPS:
                self._gaps.append((self._last, tick))
        self._last = tick

    def describe(self) -> list[str]:
        """A line for a user about the first gaps, if there are any."""
        if not self._gaps or self._odd > _MOST_ODD * self._steps:
            return []
        seconds = (tuple(float(tick * self._time_base) for tick in gap) for gap in self._gaps)
        spans = ', '.join(f'{begin:.2f} s to {end:.2f} s' for begin, end in seconds)
        return [f'frames are missing from {spans}: the ones before are shown longer']


class Extent:
    """Compares where a file ends with what its header says.

    Args:
      container: The open container.
      video: Its video stream.
    """

    def __init__(self, container: Any, video: Any):
        known = not _WITH_DURATION.isdisjoint(container.format.name.split(','))
        self._expected = Fraction(container.duration or 0, 10**6) if known else Fraction(0)
        if container.format.name == 'avi':  # the duration is estimated, the number of frames is not
            self._expected = max(self._expected, video.frames * video.time_base)
        self._end = Fraction(0)
        self._broken = False
        self._is_closed = False
        self._lock = threading.Lock()

    def whole(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Yields the packets until the file ends or cannot be read any further."""
        while (packet := self._next(packets)) is not None:
            if packet.size or packet.dts is not None:  # the others only tell the end of a stream
                yield packet

    def close(self, container: Any):
        """Closes the container, as no packet must be read while or after it is closed.

        One that waits for input stays open.
        """
        self._is_closed = True
        if self._lock.acquire(timeout=1):
            container.close()
            self._lock.release()

    def _next(self, packets: Iterator[Any]) -> Any:
        import av

        with self._lock:
            try:
                packet = None if self._is_closed else next(packets, None)
            except IndexError:  # PyAV ends so where a stream began in the middle of the file
                return None
            except (av.FFmpegError, OSError):
                self._broken = True
                return None
            if packet is not None:
                time = packet.dts if packet.pts is None else packet.pts
                # One time code may say that it lasts as long as the whole file.
                lasts = (packet.stream.type != 'data' and packet.duration) or 0
                if time is not None:
                    self._end = max(self._end, (time + lasts) * packet.time_base)
            return packet

    def damage(self) -> str | None:
        """What is wrong with the end, once all packets have been read; None if nothing is."""
        if self._expected - self._end > (0 if self._broken else _TOLERANCE):
            return f'ends after {float(self._end):.1f} s of {float(self._expected):.1f} s'
        return f'cannot be read beyond {float(self._end):.1f} s' if self._broken else None
