"""Names beside points."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from mattingjax.evaluation.labels import Label, write_labels


def written(labels, curves=(), scale='linear'):
    """Axes, and the box in pixels of each name there."""
    figure = Figure()
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.set(xscale=scale, xlim=(1, 100), ylim=(0, 10))
    write_labels(axis, labels, curves)
    figure.draw_without_rendering()
    boxes = {text.get_text(): Text.get_window_extent(text) for text in axis.texts}
    assert list(boxes) == [label.name for label in labels]
    return axis, boxes


def covers(box, place):
    x, y = place
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


@pytest.mark.parametrize('scale', ['linear', 'log'])
def test_names_hide_neither_names_nor_points(scale):
    """Of networks that cost about the same and are about as good."""
    labels = [Label(f'network_{i}', 40 + i, 5 + i / 8, (40 + i, 40 + i)) for i in range(6)]
    axis, boxes = written(labels, scale=scale)
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    for label in labels:
        place = axis.transData.transform((label.x, label.y))
        assert not any(covers(box, place) for box in boxes.values())


def test_a_name_stands_where_nothing_is():
    below = Label('a', 50, 5, (50, 50))
    assert written([below])[0].texts[0].xyann == (0, pytest.approx(15, abs=3))  # above its point
    for curves, *others in (
        ([], Label('a point', 50, 5.4, (50, 50))),
        ([], Label('the edge of a point', 50, 5.65, (50, 50))),
        ([], Label('a bar', 90, 5.4, (20, 95))),
        ([[(1, 5.4), (100, 5.4)]],),
    ):
        axis, boxes = written([below, *others], curves)
        x, y = axis.transData.transform((50, 5.4))
        assert not covers(boxes['a'], (x, y))
        assert axis.texts[0].xyann[1] < 0


def test_a_name_stands_inside_the_frame():
    axis, boxes = written([Label('a_long_name', 99, 9.9, (99, 99))])
    frame, box = axis.get_window_extent(), boxes['a_long_name']
    assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
    assert frame.y0 <= box.y0 <= box.y1 <= frame.y1
