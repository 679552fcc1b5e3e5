"""What is put behind the person of a video: a colour, a picture, its own background, a video."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from PIL import Image

from mattingjax.errors import ImageError, VideoError
from mattingjax.images.compositing import Background, blur_background, cover
from mattingjax.images.decoding import Source as ImageSource
from mattingjax.inference.video.frames import Frame, Source

# Makes a background: the photo, uint8 [H, W, 3], and its alpha, [H, W] → uint8 [H, W, 3].
Backdrop = Callable[[np.ndarray, np.ndarray], np.ndarray]
_BLUR = 40  # the short side of a frame divided by the sigma of a blur, if none is given
_MOST_BLUR = 1000  # pixels


class Scene(Protocol):
    """What is behind the person from moment to moment.

    Attributes:
      moves: Whether it changes with time.
      notes: What a user should know of it, a line each.
    """

    moves: bool
    notes: list[str]

    def at(self, time: Fraction) -> Backdrop | None:
        """The background at a time in seconds since the beginning; None once it is over.

        Times must not decrease from call to call.
        """


class StillScene:
    """A colour or a picture, cropped to cover the frames.

    Args:
      background: What `mattingjax.composite` takes as one.

    Raises:
      ImageError: It is neither a colour nor a picture.
    """

    moves = False

    def __init__(self, background: ImageSource):
        self._background = Background(background)
        self.notes: list[str] = []
        self._made: np.ndarray | None = None

    def at(self, time: Fraction) -> Backdrop:
        return self._behind

    def _behind(self, image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        if self._made is None or self._made.shape[:2] != alpha.shape:
            self._made = self._background.of_size(*alpha.shape)
        return self._made


class BlurredScene:
    """The frame's own background, blurred.

    Args:
      sigma: Standard deviation in pixels; a fortieth of the short side if None.
    """

    moves = False

    def __init__(self, sigma: float | None = None):
        self._sigma = sigma
        self.notes: list[str] = []

    def at(self, time: Fraction) -> Backdrop:
        return self._behind

    def _behind(self, image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        sigma = min(alpha.shape) / _BLUR if self._sigma is None else self._sigma
        return blur_background(image, alpha, sigma)


class VideoScene:
    """Another video, from its beginning, cropped to cover the frames.

    Args:
      open_it: Opens the video; called for each time that it is shown.
      loop: Whether it begins anew when it ends.

    Raises:
      VideoError: It cannot be read.
    """

    moves = True

    def __init__(self, open_it: Callable[[], Source], *, loop: bool = True):
        self._open, self._loop = open_it, loop
        self._stack = contextlib.ExitStack()
        self._begin = Fraction(0)  # when it was begun, on the clock of `at`
        self._start()
        self.notes = [f'background: {note}' for note in self._source.notes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._stack.close()
        try:
            self._source = self._stack.enter_context(self._open())
            self._frames: Iterator[Frame] = self._source.frames()
            self._shown = next(self._frames)
        except VideoError as error:
            self._stack.close()
            raise VideoError(f'background: {error}') from error
        self._first = self._shown.moments[0].time
        self._next = next(self._frames, None)
        self._is_still = self._next is None  # a single picture is shown for ever

    def at(self, time: Fraction) -> Backdrop | None:
        while True:
            while self._next and self._next.moments[0].time <= time - self._begin + self._first:
                self._shown, self._next = self._next, next(self._frames, None)
            if self._next is not None or self._is_still or time < self._end():
                return self._behind(self._shown)
            if not self._loop:
                return None
            self._begin = self._end()
            self._start()

    def _end(self) -> Fraction:
        """When the last frame, which is shown now, is over, on the clock of `at`."""
        last = self._shown.moments[-1]
        duration = last.duration or 1 / self._source.rate
        return self._begin + last.time - self._first + duration

    @staticmethod
    def _behind(frame: Frame) -> Backdrop:
        return lambda image, alpha: cover(frame.picture.pixels(), *alpha.shape)


@contextlib.contextmanager
def opened_scene(background: object, *, loop: bool = True) -> Iterator[Scene]:
    """A context that opens what is put behind a person, and closes it afterwards.

    Args:
      background: A colour, the path of a picture or of a video, 'blur' or 'blur:SIGMA', or anything
        else that `mattingjax.composite` takes as a background.
      loop: Whether a video begins anew when it ends.

    Yields:
      The scene.

    Raises:
      ImageError: It is none of these.
      VideoError: The video cannot be read.
    """
    if isinstance(background, str) and (blur := re.fullmatch(r'blur(?::(.*))?', background)):
        yield BlurredScene(None if blur[1] is None else _parse_sigma(blur[1]))
        return
    is_file = isinstance(background, str | os.PathLike) and os.path.isfile(background)
    if not (is_file and _is_animated(background)):  # type: ignore[arg-type]
        try:
            scene = StillScene(background)  # type: ignore[arg-type]  # it tells what it cannot take
        except ImageError as error:
            if not is_file:
                raise ImageError(
                    'background: expected a colour, a picture, a video, blur or blur:PIXELS; '
                    f'{error}'
                ) from error
        else:
            yield scene
            return
    path = Path(background)  # type: ignore[arg-type]
    from mattingjax.inference.video.reading import open_video

    with VideoScene(lambda: open_video(path, sound=False), loop=loop) as moving:
        yield moving


def _is_animated(path: str | os.PathLike) -> bool:
    """Whether a file is a picture that moves, such as a GIF of several frames."""
    try:
        with Image.open(path) as picture:
            return getattr(picture, 'is_animated', False)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _parse_sigma(text: str) -> float:
    try:
        sigma = float(text)
    except ValueError:
        sigma = -1
    if not 0 < sigma <= _MOST_BLUR:
        raise VideoError(
            f'background: expected blur:PIXELS, more than 0 and at most {_MOST_BLUR}, got '
            f'blur:{text}'
        )
    return sigma
