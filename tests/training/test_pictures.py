import numpy as np
import pytest
from matplotlib.figure import Figure

from mattingjax.training.pictures import _draw_losses, draw_curves
from mattingjax.training.recorder import Table, read_table


@pytest.mark.parametrize(('count', 'size'), [(6, 1), (50, 1), (80, 2), (1234, 25)])
def test_a_mean_is_one_of_as_many_steps_as_it_says(count, size):
    rows = [
        {'step': i, 'loss': 1.0 + i, 'learning_rate': 1e-3 * (1 - i / count)}
        for i in range(1, count + 1)
    ]
    figure = Figure()
    axis = figure.subplots()
    _draw_losses(axis, rows)
    curves = {line.get_label(): line.get_xydata() for line in axis.get_lines()}
    names = ['each step'] if size == 1 else ['each step', f'mean of {size} steps']
    assert list(curves) == names
    assert len(curves['each step']) == count
    if size > 1:
        means = curves[names[1]]
        assert len(means) == count // size
        np.testing.assert_allclose(means[0], [(1 + size) / 2, 1 + (1 + size) / 2])
    # No curve touches its frame.
    for drawn in figure.axes:
        low, high = drawn.get_ylim()
        for line in drawn.get_lines():
            assert low < line.get_ydata().min() <= line.get_ydata().max() < high


def test_curves_of_few_steps_and_none(tmp_path):
    steps, figures = tmp_path / 'metrics.csv', tmp_path / 'validation.csv'
    none = draw_curves(read_table(steps), read_table(figures))
    Table(steps, -1).add({'step': 1, 'loss': 0.5, 'learning_rate': 0.0})
    Table(figures, -1).add({'step': 0, 'mad': 0.0})
    one = draw_curves(read_table(steps), read_table(figures))
    assert len(one) > len(none) > 0
