"""Opens what frames come from: a file, a folder of pictures, a camera, standard input."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from mattingjax.config.texts import exact_number
from mattingjax.errors import VideoError
from mattingjax.inference.video.frames import USUAL_RATE, Frame, Source
from mattingjax.inference.video.picture_folders import PictureFolder
from mattingjax.inference.video.raw_frames import open_raw_frames, parse_frame_size

_MOST_RATE = 1000  # frames per second
_MOST_SECONDS = 10**7


def open_source(
    source: str | os.PathLike | BinaryIO,
    *,
    start: Fraction | None = None,
    duration: Fraction | None = None,
    rate: Fraction | None = None,
    size: str | None = None,
    pixel_format: str | None = None,
    sound: bool = True,
) -> Source:
    """Opens a video, a folder of pictures, a camera, or a stream.

    Args:
      source: The path of a video or of a folder of pictures, 'camera:0' and so on, or an open
        binary file, such as standard input.
      start: Seconds that are left out at the beginning of a video.
      duration: Seconds of a video after which its reading ends.
      rate: Frames per second of what has no rate of its own: raw frames and pictures, 25 if None;
        the rate that a camera is asked for.
      size: WIDTHxHEIGHT of raw frames, which makes an open file one of raw frames, or that a camera
        is asked for.
      pixel_format: Of raw frames: 'rgb24', if None, or 'yuv420p'.
      sound: Whether the sound of a video is read, which somebody has to take then.

    Raises:
      VideoError: It cannot be read, or has no use for one of the arguments.
    """
    if pixel_format is not None and size is None:
        raise VideoError(
            f'pixel_format: expected none without the size of raw frames, got {pixel_format}'
        )
    if not isinstance(source, str | os.PathLike):
        if not hasattr(source, 'read'):
            raise VideoError(
                'source: expected a path, camera:NUMBER or an open binary file, got '
                f'{type(source).__name__}'
            )
        if size is None:
            return _open_file(source, start, duration, sound=sound)
        if start is not None:
            raise VideoError(f'start: expected none for raw frames, got {float(start):g}')
        form = 'rgb24' if pixel_format is None else pixel_format
        return open_raw_frames(source, parse_frame_size(size), form, rate or USUAL_RATE)
    if isinstance(source, str) and source.startswith('camera:'):
        if start is not None:
            raise VideoError(f'start: expected none for a camera, got {float(start):g}')
        from mattingjax.inference.video.cameras import open_camera

        return open_camera(source, None if size is None else parse_frame_size(size), rate)
    if size is not None:
        raise VideoError(f'size: expected none, as {source} has its own, got {size}')
    if os.path.isdir(source):
        return PictureFolder(Path(source), rate, start)
    return _open_file(Path(source), start, duration, sound=sound)


def _open_file(
    source: Path | BinaryIO, start: Fraction | None, duration: Fraction | None, *, sound: bool
) -> Source:
    # It is imported where it is needed: cameras and folders do without the package av.
    from mattingjax.inference.video.reading import open_video

    return open_video(source, start=start, duration=duration, sound=sound)


def until(frames: Iterable[Frame], duration: Fraction | None) -> Iterator[Frame]:
    """Yields frames until one is shown as late as `duration` seconds after the first."""
    begin: Fraction | None = None
    for frame in frames:
        begin = frame.moments[0].time if begin is None else begin
        moments = frame.moments
        if duration is not None:
            moments = tuple(moment for moment in moments if moment.time - begin < duration)
        if moments:
            yield Frame(frame.picture, moments)
        if len(moments) < len(frame.moments):
            return


def parse_seconds(text: str | float | None, name: str) -> Fraction | None:
    """Reads a time: seconds such as 1.5, or [HOURS:]MINUTES:SECONDS.

    Args:
      text: The time; None stays None.
      name: The name of the caller's argument, for the error message.

    Raises:
      VideoError: It is no time, or is negative.
    """
    if text is None:
        return None
    parts = re.fullmatch(r'(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)', str(text).strip(), re.A)
    if parts is not None:
        with contextlib.suppress(ValueError):  # of too many digits
            hours, minutes, seconds = (exact_number(part or '0') for part in parts.groups())
            found = 3600 * hours + 60 * minutes + seconds
            if found <= _MOST_SECONDS:
                return found
    raise VideoError(f'{name}: expected seconds, or HOURS:MINUTES:SECONDS, got {text!r}')


def parse_rate(text: str | float | Fraction | None) -> Fraction | None:
    """Reads frames per second, such as 25, 29.97 or 30000/1001; None stays None.

    Raises:
      VideoError: It is no number, or none in (0, 1000].
    """
    if text is None:
        return None
    try:
        rate = text if isinstance(text, Fraction) else exact_number(str(text))
        # Times are multiples of its inverse, in integers that containers can hold.
        rate = rate.limit_denominator(10**5)
    except ValueError:
        rate = Fraction(0)
    if not 0 < rate <= _MOST_RATE:
        raise VideoError(
            f'fps: expected more than 0 and at most {_MOST_RATE} frames per second, such as 25 or '
            f'30000/1001, got {text!r}'
        )
    return rate
