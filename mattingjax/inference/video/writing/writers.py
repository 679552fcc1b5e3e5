"""Writes mattes as videos, as folders of pictures or as raw frames, at the times that they had."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from mattingjax.errors import MattingError, OutputError, missing_package
from mattingjax.inference.video.frames import Moment
from mattingjax.inference.video.writing.containers import (
    CONTAINERS,
    KINDS,
    Coding,
    choose_coding,
    for_pictures,
)
from mattingjax.inference.video.writing.encoding import Encoder, Format
from mattingjax.inference.video.writing.results import Result
from mattingjax.inference.video.writing.sequences import PictureSequence, RawFrames, check_sequence
from mattingjax.inference.video.writing.sound import Sound
from mattingjax.process.files import check_new_file, new_file

__all__ = ['KINDS', 'Format', 'Writer', 'check_output', 'create_writer']

STANDARD_OUTPUT = '-'
_BUFFER = 1 << 20  # bytes that are written at once
_OPTIONS = {
    # Memory: packets wait for those of another track only as long (microseconds).
    'max_interleave_delta': '1000000',
    # Sound may begin before the first picture, which stays at its time.
    'avoid_negative_ts': 'disabled',
}


class Writer(contextlib.AbstractContextManager, Protocol):
    """Writes pictures; leaving its context without `finish` leaves nothing behind.

    Attributes:
      notes: What a user should know of the result, a line each; complete after `finish`.
    """

    notes: list[str]

    def write(self, picture: np.ndarray, moments: tuple[Moment, ...]) -> None:
        """Writes a picture for each moment at which it is shown.

        Args:
          picture: Of the kind 'alpha' uint8 [H, W], of 'cutout' uint8 [H, W, 4] RGBA, whose colours
            are not multiplied by alpha, of 'composite' uint8 [H, W, 3] sRGB.
          moments: When it is shown, after all those of the picture before it.

        Raises:
          OutputError: It cannot be written.
        """

    def finish(self, *, early: bool = False) -> None:
        """Writes what is left, and gives the whole result its name.

        Args:
          early: Whether the source goes on: the sound ends with the last picture then.

        Raises:
          OutputError: It cannot be written.
        """


def check_output(path: str | os.PathLike, kind: str, *, lossless: bool = False) -> None:
    """Checks that `create_writer` can write there, before anything is opened or written.

    Args:
      path: As in `create_writer`.
      kind: One of `KINDS`.
      lossless: Whether every pixel must come back as it was.

    Raises:
      MattingError: There is no such kind.
      OutputError: The format is unknown or cannot hold such pictures, or nothing can be written
        there.
      ImportError: A video needs the package av, which is not installed.
    """
    if kind not in KINDS:
        raise MattingError(f'kind: expected one of {", ".join(KINDS)}, got {kind!r}')
    if str(path) == STANDARD_OUTPUT:
        if sys.stdout is None:
            raise OutputError(f'{path}: standard output is closed')
        return
    if _is_folder(path):
        check_sequence(Path(path))
        return
    choose_coding(str(path), Path(path).suffix.lower(), kind, lossless=lossless)
    check_new_file(Path(path))
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise missing_package(f'{path}: writing videos', 'av', 'video') from error


def create_writer(
    path: str | os.PathLike, kind: str, format: Format, *, lossless: bool = False
) -> Writer:
    """Creates what writes the pictures of a video.

    Args:
      path: A file, whose suffix says its format; a path without suffix, with '/' at the end or of
        an empty folder for PNG pictures; '-' for raw frames on standard output.
      kind: One of `KINDS`.
      format: What is known of the source.
      lossless: Whether every pixel must come back as it was, which takes more room; pictures and
        raw frames always do.

    Raises:
      MattingError: There is no such kind.
      OutputError: The format is unknown or cannot hold such pictures, or nothing can be written
        there.
    """
    check_output(path, kind, lossless=lossless)
    if str(path) == STANDARD_OUTPUT:
        return RawFrames(kind, format.shape, format.rate, format.sound)
    if _is_folder(path):
        return PictureSequence(Path(path), format.sound)
    coding = choose_coding(str(path), Path(path).suffix.lower(), kind, lossless=lossless)
    coding, notes = for_pictures(coding, kind, format.shape, format.pixel_aspect)
    return VideoFile(Path(path), coding, format, notes)


def _is_folder(path: str | os.PathLike) -> bool:
    """Whether pictures are written there."""
    with contextlib.suppress(OSError, ValueError):
        if os.path.isdir(path):
            return True
    return not Path(path).suffix or str(path).endswith('/')


class VideoFile(Result):
    """Writes a video file, whole or not at all.

    Args:
      path: The file; its suffix is one of `CONTAINERS`.
      coding: How pictures are encoded.
      format: What is known of the source.
      notes: What a user should know already.

    Raises:
      OutputError: It cannot be written.
    """

    def __init__(self, path: Path, coding: Coding, format: Format, notes: Iterable[str] = ()):
        super().__init__(new_file(path))
        self._path = path
        self._opened = contextlib.ExitStack()
        self.notes = list(notes)
        self._end = Fraction(0)  # of the last picture, in seconds
        try:
            self._open(path.suffix.lower(), coding, format)
        except BaseException:
            self.__exit__()
            raise

    def _open(self, suffix: str, coding: Coding, format: Format) -> None:
        import av

        kind = CONTAINERS[suffix]
        self._file = self._opened.enter_context(_File(self._scratch))
        with self._encoding_errors():
            self._container = av.open(self._file, 'w', kind.format, options=_OPTIONS)
            self._encoder = Encoder(self._container, coding, format)
            self._sound = Sound(self._container, kind, suffix, format.sound, self.notes)
            self._container.start_encoding()

    def write(self, picture: np.ndarray, moments: tuple[Moment, ...]) -> None:
        """As `Writer.write`."""
        with self._encoding_errors():
            self._sound.write(moments[0].time)
            self._end = moments[-1].time + (moments[-1].duration or 0)
            for packet in self._encoder.encode(picture, moments):
                self._container.mux(packet)

    def finish(self, *, early: bool = False) -> None:
        """As `Writer.finish`."""
        with self._encoding_errors():
            for packet in self._encoder.flush():
                self._container.mux(packet)
            if early:
                self._sound.write(self._end)
                self._sound.drop()
            self._sound.write(None)
            self._container.close()
            self._file.close()
        self._give_name()

    def __exit__(self, *error: object) -> None:
        # What is left in FFmpeg's buffers is not wanted: the file is closed before the container.
        self._opened.close()
        super().__exit__(*error)

    @contextlib.contextmanager
    def _encoding_errors(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.FFmpegError, OSError, MemoryError) as error:
            if self._file.error is None:
                self._file.error = error
        if self._file.error is not None:
            reason = getattr(self._file.error, 'strerror', None) or str(self._file.error)
            message = f'{self._path}: cannot be written ({reason})'
            raise OutputError(message) from self._file.error


class _File(contextlib.AbstractContextManager):
    """A file for FFmpeg to write. Its first error is kept: FFmpeg would not report all of them.

    Args:
      path: The file.

    Attributes:
      error: The error, after which nothing is written any more.
    """

    def __init__(self, path: Path):
        self.error: Exception | None = None
        self._file = open(path, 'wb', buffering=_BUFFER)  # noqa: SIM115

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, content: bytes) -> int:
        self._attempt(lambda: self._file.write(content))
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._attempt(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        return self._attempt(self._file.tell)

    def close(self) -> None:
        self._attempt(self._file.close)

    def _attempt(self, act: Callable[[], int | None]) -> int:
        try:
            return act() or 0
        except OSError as error:
            self.error = self.error or error
            return 0
