import pytest

from mattingjax.config import train_config
from mattingjax.errors import MattingError
from mattingjax.training import thinning
from mattingjax.training.experiment import create_experiment
from tests.training.conftest import tiny_config


def settings(**changes):
    config = train_config('mmnet').pruning
    config.update({'ratio': 0.5, 'begin_step': 10, 'end_step': 50, 'every_steps': 15, **changes})
    return config


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'ratio': 1.0}, r'pruning.ratio: expected 0 or more and below 1, got 1.0'),
        ({'schedule': 'square'}, r"pruning.schedule: expected one of linear, cubic, got 'square'"),
        ({'method': 'taylor'}, r"pruning.method: expected one of l1, .*random, got 'taylor'"),
        ({'round_to': 0}, r'pruning.round_to: expected at least 1, got 0'),
        ({'min_channels': 0}, r'pruning.min_channels: expected at least 1, got 0'),
        ({'every_steps': 0}, r'pruning.every_steps: expected at least 1, got 0'),
        ({'begin_step': -1}, r'pruning.begin_step, .*got -1 and 50'),
        ({'begin_step': 50}, r'pruning.begin_step, .*got 50 and 50'),
        ({'end_step': 101}, r'pruning.begin_step, .*up to the 100 steps .*got 10 and 101'),
    ],
)
def test_impossible_settings(changes, message):
    with pytest.raises(MattingError, match=message):
        thinning.check(settings(**changes), 100)


def test_a_training_checks_them_before_it_starts():
    with pytest.raises(MattingError, match=r'pruning.end_step'):
        create_experiment(tiny_config(steps=4, pruning__ratio=0.5, pruning__end_step=5))
    thinning.check(settings(ratio=0.0, schedule='square'), 1)  # nothing goes: nothing to check


def test_channels_go_every_so_many_steps_and_in_the_end():
    assert [step for step in range(100) if thinning.is_due(settings(), step)] == [25, 40, 50]
    assert not any(thinning.is_due(settings(ratio=0.0), step) for step in range(100))
