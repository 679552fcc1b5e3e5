"""Folders of pictures, each a frame, as other programs write and read them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from mattingjax.errors import ImageError, VideoError
from mattingjax.images import describe_others, list_folder, load_srgb, read_size
from mattingjax.inference.video.frames import USUAL_RATE, ArrayPicture, Frame, Moment, SoundTrack
from mattingjax.inference.video.timestamps import TIMESTAMPS, read_times

_TICK = Fraction(1, 90000)  # seconds, to which times are rounded, as in MPEG


class PictureFolder:
    """The pictures of a folder as frames, in the order of the numbers in their names.

    A damaged picture is replaced by the one before, as a damaged frame of a video is.

    Args:
      folder: The folder; its sub-folders are left alone.
      rate: Frames per second; if None, the times are those of a `timestamps.txt` beside the
        pictures, or else 25 frames per second.
      start: Seconds that are left out at the beginning.

    Raises:
      VideoError: It holds no picture that can be read.
    """

    is_live = False
    pixel_aspect = Fraction(1)
    sound: tuple[SoundTrack, ...] = ()

    def __init__(self, folder: Path, rate: Fraction | None, start: Fraction | None = None):
        self.name = str(folder)
        self.notes: list[str] = []
        self.repeated = 0
        self.damage: str | None = None
        try:
            paths = [path for path in list_folder(folder).images if path.parent == folder]
        except ImageError as error:
            raise VideoError(str(error)) from error
        paths.sort(key=_number_key)
        times = self._read_times(folder / TIMESTAMPS, len(paths)) if rate is None else None
        if times is None:
            self.rate = rate or USUAL_RATE
            self.time_base = 1 / self.rate
            times = [i * self.time_base for i in range(len(paths))]
        else:
            self.rate = len(times) / max(times[-1] - times[0] + 1 / USUAL_RATE, _TICK)
            self.time_base = _TICK
        if start and paths and start > times[-1]:
            raise VideoError(
                f'start: expected at most {float(times[-1]):g} s in {folder}, got {float(start):g}'
            )
        begin = (start or Fraction(0)) // self.time_base * self.time_base
        ends = [*times[1:], times[-1] + 1 / self.rate] if times else []
        self._pictures = [
            (path, Moment(time - begin, end - time))
            for path, time, end in zip(paths, times, ends, strict=True)
            if time >= begin
        ]
        self.count: int | None = len(self._pictures)
        self.shape = self._find_size(folder)

    def _read_times(self, path: Path, count: int) -> list[Fraction] | None:
        if not path.is_file():
            return None
        times = read_times(path)
        if len(times) != count:
            self.notes.append(
                f'{path}: has {len(times)} times for {count} pictures, so that they are shown at '
                f'{USUAL_RATE} frames/s'
            )
            return None
        return [round(time / _TICK) * _TICK for time in times]

    def __enter__(self) -> PictureFolder:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _find_size(self, folder: Path) -> tuple[int, int]:
        """The size of the first picture that has one."""
        for path, _ in self._pictures:
            with contextlib.suppress(ImageError):
                return read_size(path)
        if self.count:
            raise VideoError(
                f'{folder}: expected pictures, found {self.count}, none of which can be read'
            )
        others = describe_others(list_folder(folder).others)
        raise VideoError(
            f'{folder}: expected pictures, found none' + (f', only {others}' if others else '')
        )

    def frames(self) -> Iterator[Frame]:
        shown: Frame | None = None
        waiting: list[Moment] = []  # of damaged pictures before the first good one
        for path, moment in self._pictures:
            try:
                picture = ArrayPicture(self._load(path))
            except ImageError:
                self.repeated += 1
                if shown is None:
                    waiting.append(moment)
                else:
                    shown = Frame(shown.picture, (*shown.moments, moment))
                continue
            if shown is not None:
                yield shown
            shown = Frame(picture, (*waiting, moment))
            waiting = []
        if shown is None:  # the sizes are there, and nothing else
            raise VideoError(f'{self.name}: none of its {self.count} pictures can be read')
        yield shown

    def _load(self, path: Path) -> np.ndarray:
        pixels = load_srgb(path)
        if pixels.shape[:2] != self.shape:
            (rows, columns), (height, width) = pixels.shape[:2], self.shape
            raise VideoError(
                f'{path}: expected {width}x{height}, as the first picture of the folder has, got '
                f'{columns}x{rows}'
            )
        return pixels


def _number_key(path: Path) -> list[tuple[int, int | str]]:
    """Sorts a2 before a10."""
    parts = re.split(r'(\d+)', str(path))
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
