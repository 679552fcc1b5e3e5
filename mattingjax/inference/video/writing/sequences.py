"""Writes pictures of a video one by one: as PNG files in a folder, or to standard output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from mattingjax.errors import OutputError
from mattingjax.images import encode_image
from mattingjax.inference.video.frames import Moment, SoundTrack
from mattingjax.inference.video.timestamps import TIMESTAMPS, format_times
from mattingjax.inference.video.writing.results import Result
from mattingjax.process.files import check_new_folder, new_folder

_CONTENT = 'a sequence of pictures'
_RAW = {'alpha': 'gray', 'cutout': 'rgba', 'composite': 'rgb24'}  # FFmpeg's names


def check_sequence(path: Path) -> None:
    """Raises OutputError unless a `PictureSequence` may be written there; nothing is written."""
    with contextlib.suppress(OSError):
        if path.is_dir() and any(path.iterdir()):
            raise OutputError(f'{path}: expected a new or an empty folder, found one with files')
    check_new_folder(path, _CONTENT, TIMESTAMPS)


class PictureSequence(Result):
    """Writes a folder of PNG pictures, one for each moment, which appears whole.

    They are 000000.png and so on; timestamps.txt says when each is shown.

    Args:
      path: The folder.
      sound: The sound of the source, which is left out.

    Raises:
      OutputError: It cannot be written, or a folder with files lies there.
    """

    def __init__(self, path: Path, sound: Iterable[SoundTrack] = ()):
        check_sequence(path)
        super().__init__(new_folder(path, _CONTENT, TIMESTAMPS))
        self._path = path
        self._sound = tuple(sound)
        self._times: list[Fraction] = []
        self.notes = ['sound: a folder of pictures holds none'] if self._sound else []

    def write(self, picture: np.ndarray, moments: tuple[Moment, ...]) -> None:
        """Writes a picture, as often as it is shown.

        Args:
          picture: uint8 [H, W], [H, W, 3] or [H, W, 4].
          moments: When it is shown.

        Raises:
          OutputError: It cannot be written.
        """
        _drop(self._sound)
        content = encode_image(picture)
        for moment in moments:
            self._write_file(f'{len(self._times):06}.png', content)
            self._times.append(moment.time)

    def finish(self, *, early: bool = False) -> None:
        """Writes the times and gives the folder its name.

        Args:
          early: As in `writing.Writer.finish`; there is no sound.

        Raises:
          OutputError: It cannot be written.
        """
        _drop(self._sound)
        self._write_file(TIMESTAMPS, format_times(self._times).encode())
        self._give_name()

    def _write_file(self, name: str, content: bytes) -> None:
        try:
            (self._scratch / name).write_bytes(content)
        except OSError as error:
            raise OutputError(f'{self._path}: cannot be written ({error.strerror})') from error


def _drop(sound: Iterable[SoundTrack]) -> None:
    """Forgets the sound that has been read, which would fill the memory."""
    for track in sound:
        track.packets.clear()


class RawFrames(contextlib.AbstractContextManager):
    """Writes pixels to standard output, one picture after the other, without headers.

    Args:
      kind: 'alpha', whose pictures have a byte a pixel, 'cutout' (RGBA) or 'composite' (RGB).
      shape: Height and width in pixels.
      rate: Frames per second, on average.
      sound: The sound of the source, which is left out.
    """

    def __init__(
        self,
        kind: str,
        shape: tuple[int, int],
        rate: Fraction,
        sound: Iterable[SoundTrack] = (),
    ):
        height, width = shape
        self._sound = tuple(sound)
        self.notes = [f'standard output: rawvideo, {_RAW[kind]}, {width}x{height}, {rate} frames/s']
        if self._sound:
            self.notes.append('sound: raw frames hold none')

    def __exit__(self, *_: object) -> None:
        """Does nothing: what has been written stays written."""

    def write(self, picture: np.ndarray, moments: tuple[Moment, ...]) -> None:
        """Writes a picture, as often as it is shown.

        Args:
          picture: uint8 [H, W], [H, W, 3] or [H, W, 4].
          moments: When it is shown; raw frames do not say it.

        Raises:
          BrokenPipeError: Nobody reads any more.
          OutputError: It cannot be written.
        """
        _drop(self._sound)
        pixels = np.ascontiguousarray(picture).data.cast('B')
        with _standard_output_errors():
            for _ in moments:
                sys.stdout.buffer.write(pixels)

    def finish(self, *, early: bool = False) -> None:
        """Writes what is left.

        Args:
          early: As in `writing.Writer.finish`; there is no sound.

        Raises:
          BrokenPipeError: Nobody reads any more.
          OutputError: It cannot be written.
        """
        with _standard_output_errors():
            sys.stdout.buffer.flush()


@contextlib.contextmanager
def _standard_output_errors():
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f'standard output: cannot be written ({error.strerror})') from error
