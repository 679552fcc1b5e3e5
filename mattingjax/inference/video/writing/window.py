"""Shows mattes in a window while they are made."""

from __future__ import annotations

import contextlib
from typing import Any, Self

import cv2
import numpy as np

from mattingjax.errors import VideoError
from mattingjax.images.compositing import composite
from mattingjax.images.sheets import checkerboard
from mattingjax.inference.video.frames import Moment

_TITLE = 'mattingjax'
_KEYS = ('<q>', '<Escape>')
_ROOM = 0.9  # share of the screen that a picture takes at most


class Window(contextlib.AbstractContextManager):
    """A window with the same interface as `writing.Writer`; for the main thread alone.

    Cut-outs are shown on a checkerboard. Pictures larger than the screen are reduced.

    Attributes:
      closed: Whether the user has closed it, or pressed q or Escape.
      notes: None.

    Raises:
      VideoError: There is no screen, or Python has no tkinter.
    """

    def __init__(self) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise VideoError(
                "window: expected Python with tkinter (the system's package python3-tk), found none"
            ) from error
        self.notes: list[str] = []
        self.closed = False
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise VideoError(f'window: cannot be opened ({error})') from error
        self._tkinter = tkinter
        self._root.title(_TITLE)
        self._root.protocol('WM_DELETE_WINDOW', self._close)
        for key in _KEYS:
            self._root.bind(key, self._close)
        self._room = (
            max(1, int(self._root.winfo_screenheight() * _ROOM)),
            max(1, int(self._root.winfo_screenwidth() * _ROOM)),
        )
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        with contextlib.suppress(self._tkinter.TclError):
            self._root.destroy()

    def write(self, picture: np.ndarray, moments: tuple[Moment, ...]) -> None:
        """Shows a picture at once; when it belongs does not matter.

        Args:
          picture: As `writing.Writer.write`.
          moments: When it is shown in the video.
        """
        if self.closed:
            return
        shown = _visible(_reduced(picture, self._room))
        height, width = shown.shape[:2]
        data = b'P6 %d %d 255\n' % (width, height) + shown.tobytes()
        try:
            image = self._tkinter.PhotoImage(master=self._root, data=data, format='PPM')
            self._label.configure(image=image)
            self._image = image  # tkinter itself does not keep it
            self._root.update()
        except self._tkinter.TclError:  # the window has gone
            self._close()

    def finish(self, *, early: bool = False) -> None:
        """Does nothing: there is no result to keep."""

    def _close(self, *_: Any) -> None:
        self.closed = True


def _reduced(picture: np.ndarray, room: tuple[int, int]) -> np.ndarray:
    """The picture, no larger than the height and width that there is room for."""
    height, width = picture.shape[:2]
    scale = min(room[0] / height, room[1] / width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _visible(picture: np.ndarray) -> np.ndarray:
    """The picture as RGB: uint8 [H, W, 3]."""
    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3].astype(np.float32) / 255
    return composite(np.ascontiguousarray(picture[..., :3]), alpha, checkerboard(*alpha.shape))
