"""Reads videos: every format that FFmpeg reads, from files and from standard input."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from mattingjax.errors import VideoError
from mattingjax.inference.video.colours import Look
from mattingjax.inference.video.frames import (
    Frame,
    Moment,
    Picture,
    SoundTrack,
    Source,
    name_stream,
)
from mattingjax.inference.video.reading.containers import (
    Bytes,
    check_size,
    frame_rate,
    has_hidden_alpha,
    is_mp4,
    open_container,
    open_file,
    pick_video,
    still_picture,
)
from mattingjax.inference.video.reading.damage import Decoded, Extent, Gaps, decode
from mattingjax.inference.video.reading.timeline import Timeline, packets_from, without_jumps

_PERHAPS_STILL = {'gif', 'apng', 'webp', 'mjpeg', 'jpegxl_anim'}
_LATE = 10  # seconds beyond the end that streams are waited for which may have ended before


def open_video(
    path: Path | BinaryIO,
    *,
    start: Fraction | None = None,
    duration: Fraction | None = None,
    sound: bool = True,
) -> VideoFile:
    """Opens a video for reading.

    Args:
      path: A file, or encoded video that is open for bytes, such as standard input.
      start: Seconds to leave out at the beginning; times count from there.
      duration: Seconds to read.
      sound: Whether the sound is read, which fills the memory where nobody takes it.

    Raises:
      VideoError: It cannot be read, has no pictures that can be decoded, is interlaced, or ends
        before `start`.
      ImportError: PyAV is not installed.
    """
    for name, value in (('start', start), ('duration', duration)):
        if value is not None and (value < 0 or (name == 'duration' and not value)):
            raise VideoError(f'{name}: expected seconds from 0 on, got {float(value):g}')
    with contextlib.ExitStack() as opened:
        if isinstance(path, str | os.PathLike):
            file, name = opened.enter_context(open_file(path)), os.fspath(path)
        else:
            file, name = path, name_stream(path)
        return VideoFile(file, name, start, duration, opened, sound=sound)


class VideoFile(Source):
    """A video that is read frame by frame; its attributes are those of a `Source`.

    A frame that is damaged is replaced by the one before it, or by the first that is not. A frame
    whose time is not after that of the one before it is left out.

    Args:
      file: The encoded video.
      name: What messages call it.
      start: Seconds to leave out at the beginning.
      duration: Seconds to read.
      opened: What to close in the end; it is taken over once nothing can fail any more.
      sound: Whether the sound is read.
    """

    is_live = False

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        start: Fraction | None,
        duration: Fraction | None,
        opened: contextlib.ExitStack,
        *,
        sound: bool,
    ):
        self.name = name
        self.repeated = 0
        self.damage: str | None = None
        self._start, self._duration = start or Fraction(0), duration
        self._interlaced: int | None = None  # tick of the first such frame
        self._last: Fraction | None = None  # seconds of the last frame, from the beginning
        packets = self._open(Bytes(file))
        self._extent = Extent(self._container, self._video)
        packets = self._extent.whole(packets)
        self._packets = without_jumps(packets) if self._timeline.jumps else packets
        self.time_base: Fraction = self._video.time_base
        self.rate = frame_rate(self._video)
        self._gaps = Gaps(self.rate, self.time_base)
        streams = self._container.streams.audio if sound else ()
        self.sound = tuple(SoundTrack(stream, deque()) for stream in streams)
        self._decoded = self._read_ahead()
        self.shape = self._look.shape
        self.notes = list(self._look.notes)
        if has_hidden_alpha(self._video):
            self.notes.append('its transparency is left out')
        aspect = Fraction(self._video.sample_aspect_ratio or 1)
        self.pixel_aspect = 1 / aspect if self._look.turned else aspect
        self.count = self._expected_count()
        self._opened = opened.pop_all()

    def __exit__(self, *exception: object):
        self._extent.close(self._container)
        self._opened.close()

    def frames(self) -> Iterator[Frame]:
        picture: Picture | None = None
        ticks: list[int] = []
        length = 0
        for tick, frame, duration in self._decoded:
            assert tick is not None
            self._gaps.add(tick)
            if frame is None:
                self.repeated += 1
            else:
                if frame.interlaced_frame and self._interlaced is None:
                    self._interlaced = tick
                if picture is not None:
                    yield self._shown(picture, ticks, tick)
                    ticks = []
                picture = self._look.picture(frame)
            ticks.append(tick)
            length = duration
        assert picture is not None
        end = ticks[-1] + length if length else None
        if end is not None and self._timeline.end is not None:
            end = min(end, self._timeline.end)
        yield self._shown(picture, ticks, end)
        self.damage = self._whole_damage()
        self.notes += self._gaps.describe()

    def _open(self, file: Bytes) -> Iterator[Any]:
        """Opens the container and returns its packets, from the start on if that can be found."""
        self._open_container(file)
        self._needs_file = is_mp4(file) and not file.can_seek
        if self._timeline.first and file.can_seek:
            packets = packets_from(self._container, self._video, self._timeline.raw(0))
            if packets is not None:
                return packets
            self._container.close()  # it has moved on
            file.seek(0)
            self._open_container(file)
        return self._container.demux()

    def _open_container(self, file: Bytes):
        self._container = open_container(file, self.name)
        self._video = pick_video(self._container, self.name)
        self._timeline = Timeline(self._container, self._video, self._start, self._duration)

    def _read_ahead(self) -> Iterator[Decoded]:
        """Decodes as far as the first good picture, which tells what all will look like."""
        decoded = self._wanted(
            decode(self._video_packets(), self._video.codec_context, self._timeline.jumps)
        )
        ahead: list[Decoded] = []
        first = None
        for item in decoded:
            ahead.append(item)
            if item.frame is not None:
                first = item.frame
                break
        if first is None:
            raise VideoError(self._without_frames())
        if first.interlaced_frame:
            raise VideoError(
                f'{self.name}: expected whole frames, found interlaced ones; a deinterlacer such '
                'as bwdif of FFmpeg makes them whole (ffmpeg -i IN -vf bwdif OUT)'
            )
        check_size(first.width, first.height, self.name)
        self._look = Look(first)
        if self._container.format.name in _PERHAPS_STILL and not self._start:
            ahead += itertools.islice(decoded, 1)
            if len(ahead) == 1:
                raise still_picture(self.name)
        return itertools.chain(ahead, decoded)

    def _video_packets(self) -> Iterator[Any]:
        """Yields the packets of the pictures, and keeps those of the sound, up to the end."""
        tracks = {track.stream.index: track.packets for track in self.sound}
        going_on = {self._video.index, *tracks}
        for packet in self._packets:
            index = packet.stream_index
            if index not in tracks and index != self._video.index:
                continue
            if self._timeline.is_past(packet):
                going_on.discard(index)
                if not going_on or self._is_late(packet):
                    return
            elif index == self._video.index:
                yield packet
            elif self._timeline.shift(packet):
                tracks[index].append(packet)

    def _is_late(self, packet: Any) -> bool:
        end, time = self._timeline.end, self._timeline.seconds(packet)
        return end is not None and time is not None and time > end * self.time_base + _LATE

    def _wanted(self, decoded: Iterator[Decoded]) -> Iterator[Decoded]:
        """Gives each frame its tick from the start, always a later one, and leaves out the rest."""
        step = max(1, round(1 / (self.rate * self.time_base)))
        last, last_step = -self._timeline.first - step, step
        for pts, frame, length in decoded:
            tick = last + last_step if pts is None else self._timeline.tick(pts)
            if tick <= last:
                continue
            last, last_step = tick, length or step
            self._last = self.time_base * (tick + self._timeline.first)
            if tick >= 0 and (self._timeline.end is None or tick < self._timeline.end):
                yield Decoded(tick, frame, length)

    def _without_frames(self) -> str:
        if self._start and self._last is not None:
            latest, start = float(self._last), float(self._start)
            return f'start: expected at most {latest:g} s in {self.name}, got {start:g}'
        if self._needs_file:
            return (
                f'{self.name}: an MP4 whose index is at its end can be read from a file only, not '
                'from a pipe'
            )
        if self._extent.damage():
            return f'{self.name}: no frame can be decoded ({self._extent.damage()})'
        return f'{self.name}: no frame can be decoded'

    def _expected_count(self) -> int | None:
        if not self._start and self._duration is None and self._video.frames:
            return self._video.frames
        total = Fraction(self._container.duration or 0, 10**6)
        if self._video.duration is not None:
            total = self._video.duration * self.time_base
        if total <= 0:
            return None
        rest = max(total - self._start, Fraction(0))
        if self._duration is not None:
            rest = min(rest, self._duration)
        return max(1, round(rest * self.rate))

    def _shown(self, picture: Picture, ticks: list[int], end: int | None) -> Frame:
        base = self.time_base
        ends = [*ticks[1:], end]
        return Frame(
            picture,
            tuple(
                Moment(tick * base, None if until is None else (until - tick) * base)
                for tick, until in zip(ticks, ends, strict=True)
            ),
        )

    def _whole_damage(self) -> str | None:
        lines = [self._extent.damage()] if self._timeline.end is None else []
        if self._interlaced is not None:
            seconds = float(self._interlaced * self.time_base)
            lines.append(f'some frames are interlaced, the first at {seconds:.1f} s')
        return '; '.join(line for line in lines if line) or None
