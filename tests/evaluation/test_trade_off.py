"""Pictures of errors against times and numbers of parameters."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mattingjax.evaluation import trade_off
from mattingjax.evaluation.trade_off import (
    PARAMETERS,
    TIME,
    Point,
    Style,
    draw_panel,
    draw_trade_off,
    find_front,
    time_cost,
)


def point(name, seconds, error, marker='m', colour='c', title='MAD', parameters=None):
    costs = {TIME: time_cost({'seconds': seconds, 'quartiles': [seconds * 0.9, seconds * 1.2]})}
    if parameters is not None:
        costs[PARAMETERS] = (parameters, parameters, parameters)
    return Point(name, costs, {title: error}, marker, colour)


def style(**changes):
    given = {
        'panels': ((TIME, 'MAD'),), 'columns': 1, 'markers': ('m', 'n'), 'colours': ('c', 'd'),
        'first': 'a', 'first_seconds': 0.01, 'note': 'a machine',
    }  # fmt: skip
    return Style(**given | changes)


def drawn(points, cost=TIME, **changes):
    axis = Figure().subplots()
    draw_panel(axis, (cost, 'MAD'), points, style(**changes))
    return axis


def centres(axis):
    """The points themselves."""
    return [line.get_xydata()[0] for line in axis.get_lines() if line.get_linestyle() == 'None']


def ticks(axis):
    """What stands below the axis, inside of its frame."""
    axis.figure.draw_without_rendering()
    low, high = axis.get_xlim()
    return [
        tick.label1.get_text()
        for tick in axis.xaxis.get_major_ticks()
        if low <= tick.get_loc() <= high
    ]


def lines(axis):
    """The lines that join points, not the points themselves."""
    return [line.get_xydata() for line in axis.get_lines() if line.get_linestyle() != 'None']


def test_the_front_holds_what_nothing_beats():
    assert find_front([(3, 1), (1, 3), (2, 3), (2, 2), (4, 1), (5, 2)]) == [1, 3, 0]
    assert find_front([(1, 1), (1, 1)]) == [0]
    assert find_front([]) == []


def test_points_stand_at_their_times_and_errors():
    points = [point('a', 0.01, 2.0), point('b', 0.02, 1.0, 'n', 'd'), point('worse', 0.03, 1.5)]
    axis = drawn(points)
    np.testing.assert_allclose(centres(axis), [(10, 2), (20, 1), (30, 1.5)])
    bar = axis.collections[0].get_segments()[0]
    np.testing.assert_allclose(bar, [(9, 2), (12, 2)])  # from one quartile to the other
    (front,) = lines(axis)
    np.testing.assert_allclose(front, [(10, 2), (20, 1)])
    assert (axis.get_xlabel(), axis.get_ylabel()) == (TIME, 'MAD')
    assert axis.get_xscale() == 'linear'
    (upper,) = axis.child_axes
    assert upper.get_xlabel() == 'divided by that of a'
    assert len({line.get_marker() for line in axis.get_lines()} - {'None'}) == 2


def test_families_are_joined_in_their_order():
    points = [
        point('small', 0.01, 3.0), point('large', 0.4, 2.0), point('other', 0.2, 1.0, colour='d')
    ]  # fmt: skip
    axis = drawn(points, joined=True)
    family, alone = lines(axis)
    np.testing.assert_allclose(family, [(10, 3), (400, 2)])
    assert len(alone) == 1
    assert axis.get_xscale() == 'log'
    low, high = axis.get_xlim()
    assert low < 10 < 400 < high


def test_points_stand_at_their_parameters():
    points = [
        point('small', 0.2, 3.0, parameters=64_260),
        point('large', 0.1, 2.0, parameters=6_487_075),
        point('other', 0.1, 1.0, colour='d', parameters=1_317_883),
    ]
    axis = drawn(points, PARAMETERS, joined=True, first_seconds=None)
    np.testing.assert_allclose(centres(axis), [(64_260, 3), (6_487_075, 2), (1_317_883, 1)])
    family, _ = lines(axis)
    np.testing.assert_allclose(family, [(64_260, 3), (6_487_075, 2)])
    assert (axis.get_xlabel(), axis.get_ylabel()) == ('number of parameters', 'MAD')
    assert axis.get_xscale() == 'log'
    assert not axis.child_axes  # what is divided by the first one's is the time
    assert ticks(axis) == ['50k', '100k', '200k', '500k', '1M', '2M', '5M']


@pytest.mark.parametrize('parameters', [(190_652,), (300_000, 320_000), (1_000_000, 1_100_000)])
def test_few_parameters_have_ticks_on_both_sides(parameters):
    """Networks of about one size have a log axis with at least two numbers on it."""
    axis = drawn([point('a', 0.1, 1.0, parameters=one) for one in parameters], PARAMETERS)
    assert axis.get_xscale() == 'log'
    assert len(ticks(axis)) >= 2


def test_a_panel_has_the_points_that_have_its_cost_and_error(monkeypatch):
    panels = ((TIME, 'MAD'), (PARAMETERS, 'MAD'), (TIME, 'MSE'), (PARAMETERS, 'MSE'))
    points = [
        point('a', 0.1, 1.0, parameters=10),
        point('timed', 0.1, 1.0),
        point('b', 0.1, 1.0, title='MSE', parameters=20),
    ]
    shown = {}

    def draw(axis, panel, points, style):
        shown[panel] = [one.name for one in points]
        draw_panel(axis, panel, points, style)

    monkeypatch.setattr(trade_off, 'draw_panel', draw)
    draw_trade_off(points, style(panels=panels, columns=2))
    assert list(shown) == list(panels)
    assert list(shown.values()) == [['a', 'timed'], ['a'], ['b'], ['b']]


def test_an_axis_shows_no_noise():
    """A difference of a thousandth does not fill it."""
    low, high = drawn([point('a', 0.01, 2.0), point('b', 0.02, 2.002)]).get_ylim()
    assert low < 2.0 < 2.002 < high
    assert high - low >= 0.2
    assert drawn([point('a', 0.01, 0.0)]).get_ylim() == (-1, 1)


@pytest.mark.parametrize(('count', 'columns', 'size'), [(1, 1, (770, 572)), (4, 2, (1540, 1144))])
def test_a_picture_has_all_panels(count, columns, size):
    titles = tuple(f'panel {i}' for i in range(count))
    points = [point('a', 0.01, 1.0, title=titles[0]), point('b', 0.011, 1.0, title=titles[-1])]
    panels = tuple((TIME, title) for title in titles)
    content = draw_trade_off(points, style(panels=panels, columns=columns))
    picture = Image.open(io.BytesIO(content))
    assert picture.size == size
    assert len(np.unique(np.asarray(picture.convert('L')))) > 10


@pytest.mark.parametrize('error', [np.nan, np.inf])
def test_what_has_diverged_has_no_place(monkeypatch, error):
    shown = []
    monkeypatch.setattr(trade_off, 'draw_panel', lambda *given: shown.append(given[2]))
    monkeypatch.setattr(trade_off, '_write_labels', lambda *given, joined: None)
    kept = point('a', 0.01, 2.0)
    draw_trade_off([kept, point('b', 0.02, error)], style())
    assert shown == [[kept]]
