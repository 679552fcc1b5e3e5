import pytest

from mattingjax.training.recorder import Table, read_table


def test_rows_beyond_the_resumed_step_are_dropped(tmp_path):
    path = tmp_path / 'metrics.csv'
    table = Table(path, 0)
    for step in range(1, 6):
        table.add({'step': step, 'loss': step / 3})
    with path.open('a') as file:
        file.write('6,1.')  # the process was killed here
    resumed = Table(path, 3)
    resumed.add({'step': 4, 'loss': 0.5})
    assert path.read_text().splitlines()[0] == 'step,loss'
    assert [row['step'] for row in read_table(path)] == [1, 2, 3, 4]
    assert [row['loss'] for row in read_table(path)] == pytest.approx([1 / 3, 2 / 3, 1, 0.5])


def test_nothing_is_left_of_a_training_that_saved_nothing(tmp_path):
    path = tmp_path / 'metrics.csv'
    Table(path, 0).add({'step': 1, 'loss': 1.0})
    Table(path, 0).add({'step': 1, 'loss': 2.0, 'more': 3.0})
    assert read_table(path) == [{'step': 1, 'loss': 2.0, 'more': 3.0}]


def test_losses_are_written_to_the_bit(tmp_path):
    import numpy as np

    values = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    table = Table(tmp_path / 'a.csv', 0)
    for step, value in enumerate(values):
        table.add({'step': step, 'loss': float(value)})
    found = np.array([row['loss'] for row in read_table(tmp_path / 'a.csv')], np.float32)
    assert (found == values).all()
