"""Pictures of errors against times."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mattingjax.evaluation.trade_off import Point, Style, draw_panel, draw_trade_off, find_front


def point(name, seconds, error, marker='m', colour='c', title='MAD'):
    return Point(name, seconds, (seconds * 0.9, seconds * 1.2), {title: error}, marker, colour)


def style(**changes):
    given = {
        'panels': ('MAD',), 'columns': 1, 'markers': ('m', 'n'), 'colours': ('c', 'd'),
        'first': 'a', 'first_seconds': 0.01, 'note': 'a machine',
    }  # fmt: skip
    return Style(**given | changes)


def drawn(points, **changes):
    axis = Figure().subplots()
    draw_panel(axis, 'MAD', points, style(**changes))
    return axis


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
    centres = [line.get_xydata()[0] for line in axis.get_lines() if line.get_linestyle() == 'None']
    np.testing.assert_allclose(centres, [(10, 2), (20, 1), (30, 1.5)])
    (front,) = lines(axis)
    np.testing.assert_allclose(front, [(10, 2), (20, 1)])
    assert axis.get_xscale() == 'linear'
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
    content = draw_trade_off(points, style(panels=titles, columns=columns))
    picture = Image.open(io.BytesIO(content))
    assert picture.size == size
    assert len(np.unique(np.asarray(picture.convert('L')))) > 10
