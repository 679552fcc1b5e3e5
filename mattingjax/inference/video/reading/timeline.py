"""The times of a video: where they begin, which of them are wanted, and where they jump."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

_GAP = 10  # seconds forwards that are taken for a jump of the clock, where clocks may jump
_BACK = Fraction(1, 10)  # seconds backwards; the times of a stream never run so
_STEPS = (0, 1, 4, 16, 64)  # seconds further back that the key frame before a time is looked for


class Timeline:
    """Maps the times of a container to those of a source.

    Times begin at 0 as they do in the file: sound may come before the first picture. Containers
    whose clock starts anywhere (MPEG streams) begin with the first of their streams, and what has
    negative times with the first picture.

    Args:
      container: The open container.
      video: Its video stream.
      start: Seconds to leave out at the beginning.
      duration: Seconds to read from there; None for all.

    Attributes:
      first: Ticks of the video that are left out at the beginning.
      end: The first tick that is not wanted, counted from the start; None if there is none.
    """

    def __init__(self, container: Any, video: Any, start: Fraction, duration: Fraction | None):
        self._base = video.time_base
        self.jumps = has_jumps(container)
        streams = (*container.streams.audio, video) if self.jumps else (video,)
        starts = [s.start_time * s.time_base for s in streams if s.start_time is not None]
        begin = min(starts, default=Fraction(0))
        self._origin = (begin if self.jumps else min(begin, Fraction(0))) // self._base
        # Rounded down: containers round the times of frames, and the frame at `start` is wanted.
        self.first = start // self._base
        self.end = None if duration is None else -(-duration // self._base)

    def tick(self, pts: int) -> int:
        """The time of a video frame in ticks from the start."""
        return pts - self._origin - self.first

    def raw(self, tick: int) -> int:
        """The inverse of `tick`."""
        return tick + self._origin + self.first

    def seconds(self, packet: Any) -> Fraction | None:
        """The time from the start at which a packet of any stream is decoded; None if unknown."""
        time = packet.pts if packet.dts is None else packet.dts
        return None if time is None else time * packet.time_base - self._offset

    def is_past(self, packet: Any) -> bool:
        """Whether a packet, and all that follow it in its stream, come after the end."""
        time = self.seconds(packet)
        return self.end is not None and time is not None and time >= self.end * self._base

    def shift(self, packet: Any) -> bool:
        """Makes the times of a packet of sound count from the start.

        Returns:
          Whether the packet is wanted.
        """
        offset = round(self._offset / packet.time_base)
        if packet.pts is not None:
            packet.pts -= offset
        if packet.dts is not None:
            packet.dts -= offset
        time = packet.dts if packet.pts is None else packet.pts
        if time is None:
            return True
        is_early = self.first > 0 and time < 0
        is_late = self.end is not None and time * packet.time_base >= self.end * self._base
        return not is_early and not is_late

    @property
    def _offset(self) -> Fraction:
        return (self._origin + self.first) * self._base


def has_jumps(container: Any) -> bool:
    """Whether the clock of a container's format may start anywhere, and jump."""
    from av.format import Flags

    return bool(container.format.flags & Flags.ts_discont.value)


def without_jumps(packets: Iterator[Any]) -> Iterator[Any]:
    """Sets packets whose clock has jumped, as where two files were joined, after those before.

    Streams meet the same jump at different packets; all move by what the first of them had to.

    Args:
      packets: Packets of all streams of a container whose clock may jump; they are changed.
    """
    newest = Fraction(0)
    clocks: dict[int, _Clock] = {}
    for packet in packets:
        if packet.dts is not None:
            clock = clocks.setdefault(packet.stream_index, _Clock(newest))
            time = packet.dts * packet.time_base
            if not clock.fits(time + clock.offset):
                if not clock.fits(time + newest):
                    newest = clock.end - time
                clock.offset = newest
            clock.last = time + clock.offset
            clock.end = clock.last + (packet.duration or 0) * packet.time_base
            ticks = round(clock.offset / packet.time_base)
            packet.dts += ticks
            if packet.pts is not None:
                packet.pts += ticks
        yield packet


@dataclasses.dataclass
class _Clock:
    """What a stream's times are moved by, and where its last packet began and ended, in seconds."""

    offset: Fraction
    last: Fraction | None = None
    end: Fraction = Fraction(0)

    def fits(self, time: Fraction) -> bool:
        return self.last is None or self.last - _BACK <= time <= self.end + _GAP


def packets_from(container: Any, video: Any, pts: int) -> Iterator[Any] | None:
    """The packets from the last key frame on from which a time can be decoded.

    Args:
      container: The open container.
      video: Its video stream.
      pts: The time, in ticks of the video.

    Returns:
      The packets of all streams; None if the container has to be read from its beginning.
    """
    import av

    for seconds in _STEPS:
        try:
            container.seek(pts - int(seconds / video.time_base), stream=video)
            packets = container.demux()
            seen = []
            for packet in packets:
                seen.append(packet)
                if packet.stream_index == video.index and packet.is_keyframe:
                    break
        except (av.FFmpegError, OSError, IndexError):  # IndexError: see Extent
            return None
        if seen and seen[-1].pts is not None and seen[-1].pts <= pts:
            return itertools.chain(seen, packets)
    return None
