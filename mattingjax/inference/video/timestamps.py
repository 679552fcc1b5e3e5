"""The file beside a folder of pictures that says when each is shown, in timestamp format v2.

Matroska's mkvmerge reads it: a header, then the milliseconds of each picture, a line each.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from mattingjax.config.texts import exact_number
from mattingjax.errors import VideoError

TIMESTAMPS = 'timestamps.txt'
_HEADER = '# timestamp format v2'
_MOST = 10**10  # milliseconds


def format_times(times: Iterable[Fraction]) -> str:
    """Formats the times of pictures, in seconds, to the nanosecond."""
    return ''.join(f'{line}\n' for line in (_HEADER, *map(_milliseconds, times)))


def read_times(path: Path) -> list[Fraction]:
    """Reads the times of pictures, in seconds.

    Raises:
      VideoError: The file cannot be read, has another format, or times that do not increase.
    """
    try:
        header, *lines = path.read_text('ascii').splitlines() or ['']
        if header.strip() != _HEADER:
            raise ValueError(f'expected {_HEADER!r} in its first line')
        times = [exact_number(line.strip()) / 1000 for line in lines if line.strip()]
        if times != sorted(set(times)) or any(not 0 <= time * 1000 <= _MOST for time in times):
            raise ValueError('expected times that increase, from 0 on')
    except (OSError, ValueError) as error:
        raise VideoError(f'{path}: cannot be read as times of pictures ({error})') from error
    return times


def _milliseconds(time: Fraction) -> str:
    """A time in milliseconds, to the nanosecond, without zeros at the end."""
    return f'{round(time * 10**9) / 10**6:.6f}'.rstrip('0').rstrip('.')
