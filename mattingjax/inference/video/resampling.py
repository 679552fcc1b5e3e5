"""Frames at a constant rate, made of frames at any times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from mattingjax.errors import VideoError
from mattingjax.inference.video.frames import Frame, Moment

_MAX_MOMENTS = 10**6  # of one picture: hours; more are times of a broken file


def resample(frames: Iterator[Frame], fps: Fraction) -> Iterator[Frame]:
    """Shows at every multiple of 1 / fps seconds the frame that is on screen then.

    Frames that are never on screen at such a time are left out. The first is shown from the
    multiple on that is not after it, the last as long as it says.

    Args:
      frames: Frames in order of time.
      fps: Frames per second.

    Raises:
      VideoError: A frame would be shown a million times.
    """
    tick: int | None = None  # the next multiple
    held: Frame | None = None
    for frame in frames:
        start = frame.moments[0].time
        if tick is None:
            tick = math.floor(start * fps)
        if held is not None and (count := _ticks_before(start, fps, tick)):
            yield _show(held, tick, count, fps)
            tick += count
        held = frame
    if held is None or tick is None:
        return
    time, duration = held.moments[-1]
    end = time + (1 / fps if duration is None else duration)
    if count := _ticks_before(end, fps, tick):
        yield _show(held, tick, count, fps)


def _ticks_before(time: Fraction, fps: Fraction, tick: int) -> int:
    """How many multiples of 1 / fps from `tick` on come before a time."""
    count = math.ceil(time * fps) - tick
    if count >= _MAX_MOMENTS:
        raise VideoError(f'fps: at {float(fps):g} one frame would be shown {count} times')
    return max(count, 0)


def _show(frame: Frame, tick: int, count: int, fps: Fraction) -> Frame:
    moments = tuple(Moment(k / fps, 1 / fps) for k in range(tick, tick + count))
    return Frame(frame.picture, moments)
