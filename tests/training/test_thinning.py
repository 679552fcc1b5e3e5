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


@pytest.mark.parametrize(('begin', 'end'), [(50, 50), (60, 50), (10, 100), (10, 101)], ids=str)
def test_steps_come_after_the_last_cut(begin, end):
    with pytest.raises(
        MattingError,
        match=rf'config.pruning.begin_step, .*below the 100 steps .*got {begin} and {end}',
    ):
        thinning.check(settings(begin_step=begin, end_step=end), 100)
    thinning.check(settings(ratio=0.0, begin_step=begin, end_step=end), 100)  # nothing goes
    thinning.check(settings(begin_step=0, end_step=99), 100)


def test_a_training_checks_them_before_it_starts():
    with pytest.raises(MattingError, match=r'config.pruning.end_step.*got 0 and 4'):
        create_experiment(tiny_config(steps=4, pruning__ratio=0.5, pruning__end_step=4))


def test_channels_go_every_so_many_steps_and_in_the_end():
    assert [step for step in range(100) if thinning.is_due(settings(), step)] == [25, 40, 50]
    assert not any(thinning.is_due(settings(ratio=0.0), step) for step in range(100))
