"""Draws errors of mattes against the time that they take, for networks side by side."""

from __future__ import annotations

import dataclasses
import io
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mattingjax.process.packages import require_package

_MARKERS = 'osD^vP'
# Told apart by people who see few colours: Okabe and Ito, Color Universal Design
# (https://jfly.uni-koeln.de/color/).
_COLOURS = ('#0072B2', '#009E73', '#E69F00', '#D55E00', '#CC79A7', '#56B4E9')
_LOG_FROM = (
    8  # the ratio of the slowest to the fastest, from which on times are drawn on a log axis
)
_LEAST_RANGE = 0.1  # of the errors that an axis shows, as a share of the largest
_PANEL = 7.0, 5.2  # inches
_DPI = 110
_LETTERS = 15  # of the note, in an inch
_PIECES = 40  # that a line between two points is cut into
_DIRECTIONS = ((0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0))


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One network, as something runs it.

    Attributes:
      name: Its label.
      seconds: The median time for one photo.
      quartiles: The quarter of the times below and the quarter above the median end there.
      errors: Title of each panel → its error there; it is missing in the others.
      marker: The series that gives the shape of its marker.
      colour: The series that gives its colour.
    """

    name: str
    seconds: float
    quartiles: tuple[float, float]
    errors: Mapping[str, float]
    marker: str
    colour: str


@dataclasses.dataclass(frozen=True)
class Style:
    """How points are drawn.

    Attributes:
      panels: The titles of the panels, row by row; each is what its errors are called.
      columns: The number of panels side by side.
      markers: The series of shapes, in the order of the shapes that they get.
      colours: The series of colours, in the order of the colours that they get.
      first: What the time is called that others are divided by, on the upper axis.
      first_seconds: That time.
      note: A line below: what was measured, on what.
      joined: Whether points of one colour are joined, in the order given; if not, the best (none is
        both as fast and as good) are joined by a stair.
    """

    panels: tuple[str, ...]
    columns: int
    markers: tuple[str, ...]
    colours: tuple[str, ...]
    first: str
    first_seconds: float
    note: str
    joined: bool = False


def require_drawing(file: str) -> None:
    """Raises ImportError, which says how to install it, unless there is what draws a file."""
    require_package(file, 'matplotlib', 'train')


def draw_trade_off(points: Sequence[Point], style: Style) -> bytes:
    """Draws a panel of errors against times for each title.

    Args:
      points: At least one.
      style: How they are drawn.

    Returns:
      The content of a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(style.panels) // style.columns)
    width, height = _PANEL
    size = width * style.columns, height * rows
    figure = Figure(figsize=size, dpi=_DPI, layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, style.columns, squeeze=False).ravel()
    note = textwrap.fill(style.note, round(_LETTERS * size[0]))
    figure.supxlabel(note, fontsize=8, color='0.35')
    _write_legend(figure, points, style)
    for axis, title in zip(grid, style.panels, strict=False):
        draw_panel(axis, title, [point for point in points if title in point.errors], style)
    for axis in grid[len(style.panels) :]:
        axis.set_axis_off()
    figure.draw_without_rendering()  # so that it is known where labels may stand
    for axis, title in zip(grid, style.panels, strict=False):
        shown = [point for point in points if title in point.errors]
        _write_labels(axis, title, shown, joined=style.joined)
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    return picture.getvalue()


def draw_panel(axis: Any, title: str, points: Sequence[Point], style: Style) -> None:
    """Draws the points of one panel into axes of matplotlib, without their labels."""
    markers, colours = _series(style.markers, _MARKERS), _series(style.colours, _COLOURS)
    for line in _lines(title, points, joined=style.joined):
        stair = {} if style.joined else {'drawstyle': 'steps-post', 'linestyle': ':'}
        colour = colours[line[0].colour] if style.joined else '0.6'
        values = [1e3 * point.seconds for point in line], [point.errors[title] for point in line]
        axis.plot(*values, color=colour, zorder=1, **stair)
    for point in points:
        centre, (low, high) = point.seconds, point.quartiles
        axis.errorbar(
            1e3 * centre, point.errors[title],
            xerr=[[1e3 * max(0.0, centre - low)], [1e3 * max(0.0, high - centre)]],
            color=colours[point.colour], marker=markers[point.marker], markersize=8,
            markeredgecolor='white', linestyle='', elinewidth=1, zorder=2,
        )  # fmt: skip
    axis.set(xlabel='median time for one photo in ms (bar: the quartiles)', ylabel=title)
    axis.grid(color='0.92')
    axis.set_axisbelow(True)
    _set_ranges(axis, title, points, style)


def find_front(values: Sequence[tuple[float, float]]) -> list[int]:
    """The best of pairs of a time and an error: no other is as good in both and better in one.

    Returns:
      Their indices, the fastest first.
    """
    front: list[int] = []
    for index in sorted(range(len(values)), key=lambda i: values[i]):
        if not front or values[index][1] < values[front[-1]][1]:
            front.append(index)
    return front


def _series(names: Sequence[str], looks: Sequence[str]) -> dict[str, str]:
    return dict(zip(names, itertools.cycle(looks), strict=False))


def _lines(title: str, points: Sequence[Point], *, joined: bool) -> list[list[Point]]:
    if not joined:
        front = find_front([(point.seconds, point.errors[title]) for point in points])
        return [[points[i] for i in front]] if front else []
    families = dict.fromkeys(point.colour for point in points)
    return [[point for point in points if point.colour == family] for family in families]


def _set_ranges(axis: Any, title: str, points: Sequence[Point], style: Style) -> None:
    errors = [point.errors[title] for point in points] or [0.0]
    low, high = min(errors), max(errors)
    # Forms of one network differ by little: an axis without a least range would show noise.
    room = max(0.3 * (high - low), (_LEAST_RANGE * high - (high - low)) / 2) or 1.0
    axis.set_ylim(low - room, high + room)
    axis.ticklabel_format(axis='y', useOffset=False)
    times = [1e3 * point.seconds for point in points] or [1e3 * style.first_seconds]
    first = 1e3 * style.first_seconds
    is_log = max(times) / min(times) >= _LOG_FROM
    axis.set_xscale('log' if is_log else 'linear')  # before the upper axis, which takes it over
    upper = axis.secondary_xaxis('top', functions=(lambda x: x / first, lambda x: x * first))
    upper.set_xlabel(f'divided by that of {style.first}', fontsize=8, color='0.35')
    if is_log:
        axis.set_xlim(min(times) / 1.5, max(times) * 1.5)
        for one in (axis.xaxis, upper.xaxis):
            _label_log(one)
    else:
        room = 0.25 * (max(times) - min(times)) or 0.25 * max(times)
        axis.set_xlim(min(times) - room, max(times) + room)


def _label_log(axis: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter('{x:g}')
    axis.set_minor_formatter(NullFormatter())


def _write_legend(figure: Any, points: Sequence[Point], style: Style) -> None:
    from matplotlib.lines import Line2D

    markers, colours = _series(style.markers, _MARKERS), _series(style.colours, _COLOURS)
    shapes = [
        Line2D([], [], color='0.4', marker=look, linestyle='', label=name)
        for name, look in markers.items()
        if len(markers) > 1 and any(point.marker == name for point in points)
    ]
    tints = [
        Line2D([], [], color=look, marker='s', linestyle='', label=name)
        for name, look in colours.items()
        if any(point.colour == name for point in points)
    ]
    figure.legend(handles=[*shapes, *tints], loc='outside right upper', fontsize=8)


def _write_labels(axis: Any, title: str, points: Sequence[Point], *, joined: bool) -> None:
    """Writes each name beside its point, as near as it stands on nothing else."""
    from matplotlib.text import Text

    renderer = axis.figure.canvas.get_renderer()
    taken = list(_list_obstacles(axis, title, points, joined=joined))
    frame = axis.get_window_extent(renderer)
    for point in points:
        centre = _pixels(axis, title, point)
        text = axis.annotate(
            point.name, (1e3 * point.seconds, point.errors[title]), (0, 0), fontsize=8,
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
    axis: Any, title: str, points: Sequence[Point], *, joined: bool
) -> Iterator[Any]:
    """Boxes in pixels that labels should not cover: points, their bars, and curves in pieces."""
    for point in points:
        x, y = _pixels(axis, title, point)
        yield _box(x, y, 6)
        left, right = (axis.transData.transform((1e3 * edge, 1))[0] for edge in point.quartiles)
        yield _box((left + right) / 2, y, (right - left) / 2, 1)
    for curve in _lines(title, points, joined=True) if joined else []:
        for before, after in itertools.pairwise(_pixels(axis, title, point) for point in curve):
            for i in range(_PIECES):
                x, y = before + (after - before) * i / _PIECES
                yield _box(x, y, 1)


def _pixels(axis: Any, title: str, point: Point) -> Any:
    return axis.transData.transform((1e3 * point.seconds, point.errors[title]))


def _box(x: float, y: float, half_width: float, half_height: float | None = None) -> Any:
    from matplotlib.transforms import Bbox

    half_height = half_width if half_height is None else half_height
    return Bbox([[x - half_width, y - half_height], [x + half_width, y + half_height]])


def _holds(frame: Any, box: Any) -> bool:
    return bool(
        frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    )
