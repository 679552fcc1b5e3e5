import pytest

from mattingjax.config import train_config
from mattingjax.errors import MattingError
from mattingjax.training.experiment import create_experiment
from mattingjax.training.settings import complete_settings
from mattingjax.training.thinning import Thinning, scheduled_ratio
from tests.training.conftest import tiny_config


def thinning(**changes):
    config = train_config('mmnet').pruning
    config.update({'ratio': 0.5, 'begin_step': 10, 'end_step': 50, 'every_steps': 15, **changes})
    return Thinning.from_settings(config, 100)


@pytest.mark.parametrize(('begin', 'end'), [(50, 50), (60, 50), (10, 100), (10, 101)], ids=str)
def test_steps_come_after_the_last_cut(begin, end):
    with pytest.raises(
        MattingError,
        match=rf'config.pruning.begin_step, .*below the 100 steps .*got {begin} and {end}',
    ):
        thinning(begin_step=begin, end_step=end)
    thinning(ratio=0.0, begin_step=begin, end_step=end)  # nothing goes
    thinning(begin_step=0, end_step=99)


def test_a_training_checks_them_before_it_starts():
    config = complete_settings(tiny_config(steps=4, pruning__ratio=0.5, pruning__end_step=4))
    with pytest.raises(MattingError, match=r'config.pruning.end_step.*got 0 and 4'):
        create_experiment(config)


def test_channels_go_every_so_many_steps_and_in_the_end():
    assert [step for step in range(100) if thinning().is_due(step)] == [25, 40, 50]
    assert not any(thinning(ratio=0.0).is_due(step) for step in range(100))


SPAN = {'begin_step': 100, 'end_step': 300, 'final_ratio': 0.8}


@pytest.mark.parametrize('schedule', ['linear', 'cubic'])
def test_from_nothing_to_everything(schedule):
    ratios = [scheduled_ratio(step, schedule=schedule, **SPAN) for step in range(0, 401, 20)]
    assert ratios[:6] == [0] * 6
    assert ratios == sorted(ratios)
    assert ratios[15:] == [pytest.approx(0.8)] * 6


def test_half_way():
    assert scheduled_ratio(200, schedule='linear', **SPAN) == pytest.approx(0.4)
    assert scheduled_ratio(200, schedule='cubic', **SPAN) == pytest.approx(0.8 * 7 / 8)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'schedule': 'square'}, "schedule: expected one of linear, cubic, got 'square'"),
        ({'final_ratio': 1.0}, 'final_ratio: expected 0 or more and below 1, got 1.0'),
        ({'end_step': 100}, 'end_step: expected over begin_step 100, got 100'),
    ],
)
def test_impossible_schedules(changes, message):
    with pytest.raises(MattingError, match=message):
        scheduled_ratio(1, **{**SPAN, **changes})
