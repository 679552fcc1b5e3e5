import pytest

from mattingjax.errors import MattingError
from mattingjax.pruning import scheduled_ratio

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
