"""Writes names beside the points of a panel, where they cover nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

_PIECES = 40  # that a line between two points is cut into
_DIRECTIONS = ((0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0))


@dataclasses.dataclass(frozen=True)
class Label:
    """A name, and the point that has it.

    Attributes:
      name: What is written.
      x: Where the point is.
      y: The same, upwards.
      bar: Where the bar through the point begins and ends, along x.
    """

    name: str
    x: float
    y: float
    bar: tuple[float, float]


def write_labels(
    axis: Any, labels: Sequence[Label], curves: Sequence[Sequence[tuple[float, float]]]
) -> None:
    """Writes each name beside its point, as near as it stands on nothing else.

    Where no place is free, it stands right above its point.

    Args:
      axis: Axes of matplotlib whose layout is done, since names are placed by pixels.
      labels: The names, the first of which stand nearest; all points are kept free.
      curves: The corners of lines that are kept free too.
    """
    from matplotlib.text import Text

    renderer = axis.figure.canvas.get_renderer()
    taken = list(_list_obstacles(axis, labels, curves))
    frame = axis.get_window_extent(renderer)
    for label in labels:
        centre = axis.transData.transform((label.x, label.y))
        text = axis.annotate(
            label.name, (label.x, label.y), (0, 0), fontsize=8,
            textcoords='offset pixels', ha='center', va='center',
            arrowprops={'arrowstyle': '-', 'color': '0.75', 'shrinkA': 1, 'shrinkB': 4, 'lw': 0.6},
        )  # fmt: skip
        text.set_in_layout(False)
        size = Text.get_window_extent(text, renderer)  # without the line to its point
        offsets = [
            (dx * (size.width / 2 + away), dy * (size.height / 2 + away))
            for away in range(9, 190, 6)
            for dx, dy in _DIRECTIONS
        ]
        boxes = [
            _box(centre[0] + dx, centre[1] + dy, size.width / 2 + 4, size.height / 2)
            for dx, dy in offsets
        ]
        free = (
            i
            for i, box in enumerate(boxes)
            if _holds(frame, box) and not any(box.overlaps(other) for other in taken)
        )
        chosen = next(free, 0)
        text.set_position(offsets[chosen])
        taken.append(boxes[chosen])


def _list_obstacles(
    axis: Any, labels: Sequence[Label], curves: Sequence[Sequence[tuple[float, float]]]
) -> Iterator[Any]:
    """Boxes in pixels that labels should not cover: points, their bars, and curves in pieces."""
    pixels = axis.transData.transform
    for label in labels:
        x, y = pixels((label.x, label.y))
        yield _box(x, y, 6)
        left, right = (pixels((edge, label.y))[0] for edge in label.bar)
        yield _box((left + right) / 2, y, (right - left) / 2, 1)
    for curve in curves:
        for before, after in itertools.pairwise(pixels(corner) for corner in curve):
            for i in range(_PIECES):
                x, y = before + (after - before) * i / _PIECES
                yield _box(x, y, 1)


def _box(x: float, y: float, half_width: float, half_height: float | None = None) -> Any:
    from matplotlib.transforms import Bbox

    half_height = half_width if half_height is None else half_height
    return Bbox([[x - half_width, y - half_height], [x + half_width, y + half_height]])


def _holds(frame: Any, box: Any) -> bool:
    return bool(
        frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    )
