"""One column of a video's pixels over time, which shows flicker at a glance."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import cv2
import numpy as np

from mattingjax.errors import MattingError
from mattingjax.images.compositing import to_uint8
from mattingjax.images.sheets import make_sheet

MAX_FRAMES = 2000
_CANDIDATES = 24  # columns that are remembered until it is known which one changes most
_GREY = 128  # of the lines around pictures
_HEIGHT = 320  # pixels
_WIDTH = 640  # pixels that short videos are widened to


class Columns:
    """Remembers columns of the first 2000 frames of a video, and draws one of them.

    Args:
      column: The column to draw, counted from the left, from 0 on; None takes that of 24, at equal
        distances, at which the first of the alphas changes most.

    Attributes:
      chosen: The column that `draw` draws, once it has been called.
    """

    def __init__(self, column: int | None = None):
        self._asked, self.chosen = column, column
        self._columns: list[int] | None = None
        self._photos: list[np.ndarray] = []
        self._alphas: dict[str, list[np.ndarray]] = {}

    def add(self, photo: np.ndarray, alphas: Mapping[str, np.ndarray]) -> None:
        """Adds a frame.

        Args:
          photo: uint8 [H, W, 3], of the same size for each frame.
          alphas: What each row is called → alpha, float32 [H, W] in [0, 1].

        Raises:
          MattingError: The frame has no such column.
        """
        if len(self._photos) == MAX_FRAMES:
            return
        columns = self._columns = self._columns or self._choose_columns(photo.shape[1])
        self._photos.append(_shrink(photo[:, columns]))
        for name, alpha in alphas.items():
            self._alphas.setdefault(name, []).append(to_uint8(_shrink(alpha[:, columns])))

    def draw(self) -> np.ndarray:
        """Draws the column over time: a row for the photo and one for each of the alphas.

        Time runs to the right, a pixel or more for each frame.

        Returns:
          uint8 [h, w, 3].
        """
        assert self._columns is not None
        first = next(iter(self._alphas.values()))
        changes = sum(
            (
                cv2.absdiff(after, before).sum(axis=0, dtype=np.int64)
                for before, after in itertools.pairwise(first)
            ),
            np.zeros(len(self._columns), np.int64),
        )
        index = int(np.argmax(changes))
        self.chosen = self._columns[index]
        repeats = max(1, _WIDTH // len(self._photos))
        rows = {'the video': self._photos, **self._alphas}
        pictures = [
            np.repeat(np.stack([frame[:, index] for frame in frames], axis=1), repeats, axis=1)
            for frames in rows.values()
        ]
        # A line around each: the white of an alpha would not stand out from the sheet's.
        pictures = [_frame(picture) for picture in pictures]
        captions = [[name] for name in rows]
        captions[0][0] += f', column {self.chosen} of each frame; time runs to the right'
        return make_sheet([[picture] for picture in pictures], captions=captions)

    def _choose_columns(self, width: int) -> list[int]:
        if self._asked is None:
            count = min(width, _CANDIDATES)
            return [(2 * i + 1) * width // (2 * count) for i in range(count)]
        if not 0 <= self._asked < width:
            raise MattingError(f'column: expected 0 to {width - 1}, got {self._asked}')
        return [self._asked]


def _frame(picture: np.ndarray) -> np.ndarray:
    return cv2.copyMakeBorder(picture, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[_GREY] * 3)


def _shrink(columns: np.ndarray) -> np.ndarray:
    """Columns side by side, at most 320 pixels high."""
    height = min(_HEIGHT, columns.shape[0])
    size = columns.shape[1], height
    shrunk = cv2.resize(np.ascontiguousarray(columns), size, interpolation=cv2.INTER_AREA)
    return shrunk.reshape(height, *columns.shape[1:])
