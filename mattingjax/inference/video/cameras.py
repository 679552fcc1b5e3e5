"""Cameras of this computer, of which only the newest frame counts."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np

from mattingjax.errors import VideoError
from mattingjax.inference.video.frames import ArrayPicture, Frame, Moment, SoundTrack, Source
from mattingjax.process.packages import quiet_stderr

_PATIENCE = 10.0  # seconds without a frame after which a camera counts as stopped
_CLOSING = 2.0  # seconds that closing waits for a driver
_USUAL_RATE = 30  # frames per second, where a camera does not say it
_MAX_RATE = 1000


def open_camera(
    name: str, size: tuple[int, int] | None = None, rate: Fraction | None = None
) -> Source:
    """Opens a camera by OpenCV, which numbers cameras in the same way on every system.

    FFmpeg's devices would need another format on each system, names where OpenCV has numbers, and
    the package av.

    Args:
      name: 'camera:0' for the first one.
      size: Height and width in pixels that are asked for; the camera may give others.
      rate: Frames per second that are asked for; the camera may give another number.

    Raises:
      VideoError: The name is none of a camera, there is no such camera, or it gives no frames.
    """
    found = re.fullmatch(r'camera:(\d{1,3})', name, re.ASCII)
    if not found:
        raise VideoError(f'{name}: expected camera:NUMBER, such as camera:0')
    with _quiet(), quiet_stderr():  # not all that drivers say is OpenCV's to silence
        capture = cv2.VideoCapture(int(found[1]))
        if not capture.isOpened():
            raise VideoError(f'{name}: no such camera here')
        if size:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        if rate:
            capture.set(cv2.CAP_PROP_FPS, float(rate))
        there, pixels = capture.read()
        if not there:
            capture.release()
            raise VideoError(f'{name}: the camera gives no frames; another program may have it')
    camera = _Camera(name, capture, pixels.shape[:2])
    if size and size != camera.shape:
        asked, given = (f'{width}x{height}' for height, width in (size, camera.shape))
        camera.notes.append(f'the camera gives {given} instead of {asked}')
    return camera


class _Shot(NamedTuple):
    """A picture of a camera: uint8 [H, W, 3] BGR, and the monotonic clock's seconds."""

    pixels: np.ndarray
    clock: float


class _Camera(contextlib.AbstractContextManager):
    """See `Source`. A thread of its own reads the camera and releases it in the end."""

    pixel_aspect = Fraction(1)
    time_base = Fraction(1, 1000)
    count: int | None = None
    is_live = True
    sound: tuple[SoundTrack, ...] = ()
    repeated = 0

    def __init__(self, name: str, capture: cv2.VideoCapture, shape: tuple[int, int]):
        self.name = name
        self.shape = shape
        said = capture.get(cv2.CAP_PROP_FPS)
        rate = said if 0 < said <= _MAX_RATE else _USUAL_RATE
        self.rate = Fraction(rate).limit_denominator(1001)
        self.notes: list[str] = []
        self.damage: str | None = None
        self._newest: _Shot | None = None
        self._changed = threading.Condition()
        self._closed = self._ended = False
        # A driver may never answer; the program can end nevertheless.
        self._thread = threading.Thread(target=self._shoot, args=[capture], daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSING)

    def _shoot(self, capture: cv2.VideoCapture) -> None:
        """Keeps the newest picture, and lets those go that nobody has taken."""
        with _quiet():
            try:
                while not self._closed:
                    there, pixels = capture.read()
                    if not there:
                        break
                    with self._changed:
                        self._newest = _Shot(pixels, time.monotonic())
                        self._changed.notify_all()
            except cv2.error:  # counts as the end
                pass
            finally:
                capture.release()
                with self._changed:
                    self._ended = True
                    self._changed.notify_all()

    def frames(self) -> Iterator[Frame]:
        first = last = None
        while shot := self._take():
            first = shot.clock if first is None else first
            ticks = round((shot.clock - first) / self.time_base)
            last = ticks if last is None else max(ticks, last + 1)
            pixels = cv2.cvtColor(shot.pixels, cv2.COLOR_BGR2RGB)
            yield Frame(ArrayPicture(pixels), (Moment(last * self.time_base, None),))

    def _take(self) -> _Shot | None:
        """The newest picture that nobody has taken; waits for it. None in the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._closed or self._ended, _PATIENCE)
            if self._closed:
                return None
            shot, self._newest = self._newest, None
            if shot is None:
                self.damage = 'the camera stopped'
            return shot


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within it, OpenCV writes nothing to standard error."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
