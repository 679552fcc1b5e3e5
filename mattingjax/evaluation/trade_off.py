"""Draws errors of mattes against what they cost, for networks side by side: time, parameters."""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from mattingjax.evaluation.labels import Label, write_labels
from mattingjax.process.packages import require_package

TIME = 'median time for one photo in ms (bar: the quartiles)'
PARAMETERS = 'number of parameters'

_MARKERS = 'osD^vP'
# Told apart by people who see few colours: Okabe and Ito, Color Universal Design
# (https://jfly.uni-koeln.de/color/).
_COLOURS = ('#0072B2', '#009E73', '#E69F00', '#D55E00', '#CC79A7', '#56B4E9')
_LOG_FROM = 8  # the ratio of the largest to the least cost, from which on their axis is log
_LOG_ROOM = 1.5  # between the outer points and the frame, as a ratio
_LEAST_RATIO = 5  # of the ends of a log axis: two of its ticks, at 1, 2 and 5, are between them
_LEAST_RANGE = 0.1  # of the errors that an axis shows, as a share of the largest
_PANEL = 7.0, 5.2  # inches
_DPI = 110
_LETTERS = 15  # of the note, in an inch


Cost = tuple[float, float, float]  # what is drawn, and the ends of the bar through it
Panel = tuple[str, str]  # titles of its costs and of its errors


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One network, as something runs it.

    Attributes:
      name: Its label.
      costs: Title of costs, as `TIME` → what it costs; it is missing in the panels of others.
      errors: Title of errors → its error; it is missing in the panels of others.
      marker: The series that gives the shape of its marker.
      colour: The series that gives its colour.
    """

    name: str
    costs: Mapping[str, Cost]
    errors: Mapping[str, float]
    marker: str
    colour: str


@dataclasses.dataclass(frozen=True)
class Style:
    """How points are drawn.

    Attributes:
      panels: The panels, row by row; their axes are called as their costs and errors are.
      columns: The number of panels side by side.
      markers: The series of shapes, in the order of the shapes that they get.
      colours: The series of colours, in the order of the colours that they get.
      first: What the time is called that others are divided by, on the upper axis.
      first_seconds: That time; it may be None if no panel has times.
      note: A line below: what was measured, on what.
      joined: Whether points of one colour are joined, in the order given; if not, the best (none is
        both as fast and as good) are joined by a stair.
    """

    panels: tuple[Panel, ...]
    columns: int
    markers: tuple[str, ...]
    colours: tuple[str, ...]
    first: str
    first_seconds: float | None
    note: str
    joined: bool = False


def time_cost(times: Mapping[str, Any]) -> Cost:
    """The cost in `TIME` of a network, by its times as `summarise_times` returns them."""
    low, high = times['quartiles']
    return 1e3 * times['seconds'], 1e3 * low, 1e3 * high


def require_drawing(file: str) -> None:
    """Raises ImportError, which says how to install it, unless there is what draws a file."""
    require_package(file, 'matplotlib', 'train')


def draw_trade_off(points: Sequence[Point], style: Style) -> bytes:
    """Draws errors against costs.

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
    shown = [[point for point in points if _is_in(panel, point)] for panel in style.panels]
    for axis, panel, ones in zip(grid, style.panels, shown, strict=False):
        draw_panel(axis, panel, ones, style)
    for axis in grid[len(style.panels) :]:
        axis.set_axis_off()
    figure.draw_without_rendering()  # so that it is known where labels may stand
    for axis, panel, ones in zip(grid, style.panels, shown, strict=False):
        _write_labels(axis, panel, ones, joined=style.joined)
    picture = io.BytesIO()
    figure.savefig(picture, format='png')
    return picture.getvalue()


def draw_panel(axis: Any, panel: Panel, points: Sequence[Point], style: Style) -> None:
    """Draws the points of one panel into axes of matplotlib, without their labels."""
    markers, colours = _series(style.markers, _MARKERS), _series(style.colours, _COLOURS)
    for line in _lines(panel, points, joined=style.joined):
        stair = {} if style.joined else {'drawstyle': 'steps-post', 'linestyle': ':'}
        colour = colours[line[0].colour] if style.joined else '0.6'
        values = zip(*(_place(panel, point) for point in line), strict=True)
        axis.plot(*values, color=colour, zorder=1, **stair)
    cost, error = panel
    for point in points:
        centre, low, high = point.costs[cost]
        axis.errorbar(
            centre, point.errors[error], xerr=[[max(0.0, centre - low)], [max(0.0, high - centre)]],
            color=colours[point.colour], marker=markers[point.marker], markersize=8,
            markeredgecolor='white', linestyle='', elinewidth=1, zorder=2,
        )  # fmt: skip
    axis.set(xlabel=cost, ylabel=error)
    axis.grid(color='0.92')
    axis.set_axisbelow(True)
    _set_errors(axis, [point.errors[error] for point in points] or [0.0])
    _set_costs(axis, cost, [point.costs[cost][0] for point in points], style)


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


def _is_in(panel: Panel, point: Point) -> bool:
    cost, error = panel
    # The error of a network that has diverged has no place.
    return cost in point.costs and math.isfinite(point.errors.get(error, math.nan))


def _place(panel: Panel, point: Point) -> tuple[float, float]:
    cost, error = panel
    return point.costs[cost][0], point.errors[error]


def _lines(panel: Panel, points: Sequence[Point], *, joined: bool) -> list[list[Point]]:
    if not joined:
        front = find_front([_place(panel, point) for point in points])
        return [[points[i] for i in front]] if front else []
    families = dict.fromkeys(point.colour for point in points)
    return [[point for point in points if point.colour == family] for family in families]


def _set_errors(axis: Any, errors: Sequence[float]) -> None:
    low, high = min(errors), max(errors)
    # Forms of one network differ by little: an axis without a least range would show noise.
    room = max(0.3 * (high - low), (_LEAST_RANGE * high - (high - low)) / 2) or 1.0
    axis.set_ylim(low - room, high + room)
    axis.ticklabel_format(axis='y', useOffset=False)


def _set_costs(axis: Any, title: str, costs: Sequence[float], style: Style) -> None:
    from matplotlib.ticker import EngFormatter

    first = 1e3 * (style.first_seconds or 0.0)
    nothing = first if title == TIME and first else 1.0
    low, high = min(costs, default=nothing), max(costs, default=nothing)
    # Sizes of networks are told by ratios: of 6.5 million, a tenth of a million would be nothing.
    is_log = title == PARAMETERS or high / low >= _LOG_FROM
    axis.set_xscale('log' if is_log else 'linear')  # before the upper axis, which takes it over
    axes = [axis.xaxis]
    if title == TIME:
        upper = axis.secondary_xaxis('top', functions=(lambda x: x / first, lambda x: x * first))
        upper.set_xlabel(f'divided by that of {style.first}', fontsize=8, color='0.35')
        axes.append(upper.xaxis)
    if is_log:
        ratio = max(_LOG_ROOM, (_LEAST_RATIO * low / high) ** 0.5)
        axis.set_xlim(low / ratio, high * ratio)
        for one in axes:
            _label_log(one, '{x:g}' if title == TIME else EngFormatter(sep=''))
    else:
        room = 0.25 * (high - low) or 0.25 * high
        axis.set_xlim(low - room, high + room)


def _label_log(axis: Any, formatter: Any) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(formatter)
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


def _write_labels(axis: Any, panel: Panel, points: Sequence[Point], *, joined: bool) -> None:
    labels = [
        Label(point.name, *_place(panel, point), bar=point.costs[panel[0]][1:]) for point in points
    ]
    lines = _lines(panel, points, joined=True) if joined else []  # a stair may be written on
    write_labels(axis, labels, [[_place(panel, point) for point in line] for line in lines])
