"""Folders of pictures, each a frame, as other programs write and read them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from mattingjax.errors import ImageError, VideoError
from mattingjax.images import list_folder, load_srgb, read_size
from mattingjax.inference.video.frames import ArrayPicture, Frame, Moment, SoundTrack


class PictureFolder:
    """The pictures of a folder as frames, in the order of the numbers in their names.

    A damaged picture is replaced by the one before, as a damaged frame of a video is.

    Args:
      folder: The folder; pictures in its sub-folders count too.
      rate: Frames per second.
      start: Seconds that are left out at the beginning.

    Raises:
      VideoError: It holds no picture that can be read.
    """

    is_live = False
    pixel_aspect = Fraction(1)
    sound: tuple[SoundTrack, ...] = ()

    def __init__(self, folder: Path, rate: Fraction, start: Fraction | None = None):
        self.name = str(folder)
        self.rate, self.time_base = rate, 1 / rate
        self.notes: list[str] = []
        self.repeated = 0
        self.damage: str | None = None
        try:
            paths, _ = list_folder(folder)
        except ImageError as error:
            raise VideoError(str(error)) from error
        self._paths = sorted(paths, key=_number_key)[int((start or 0) * rate) :]
        self.count: int | None = len(self._paths)
        self.shape = self._find_size()

    def __enter__(self) -> PictureFolder:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _find_size(self) -> tuple[int, int]:
        """The size of the first picture that has one."""
        for path in self._paths:
            with contextlib.suppress(ImageError):
                return read_size(path)
        raise VideoError(
            f'{self.name}: expected pictures, found '
            + (f'{self.count}, none of which can be read' if self.count else 'none')
        )

    def frames(self) -> Iterator[Frame]:
        shown: Frame | None = None
        waiting: list[Moment] = []  # of damaged pictures before the first good one
        for i, path in enumerate(self._paths):
            moment = Moment(i * self.time_base, self.time_base)
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
