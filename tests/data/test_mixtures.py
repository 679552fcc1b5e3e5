import pytest

from mattingjax.data.mixtures import mix_datasets
from mattingjax.errors import MattingError
from tests.data.test_pipeline import Numbers, assert_equal, indices, start, take


def test_a_mixture_keeps_its_proportions():
    mixture = mix_datasets([(Numbers(90), 1), (Numbers(6), 3)])
    batches = take(start(mixture), 96)
    order = indices(batches)
    small = order[order >= 90]
    assert abs(len(small) / len(order) - 0.75) < 0.01
    assert set(small) == set(range(90, 96))
    large = order[order < 90]
    assert len(set(large[:90])) == len(large[:90])  # each once before any comes again
    resumed = start(mixture)
    resumed.set_state(resumed.get_state() | {'step': 50})
    assert_equal(take(resumed, 5), batches[50:55])


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        ([], 'mixture: expected at least one dataset, got none'),
        ([(Numbers(), 1), (Numbers(0), 1)], 'mixture: dataset 1 has no records'),
        ([(Numbers(), 1), (Numbers(), 0)], 'mixture: weight 1: expected a number over 0, got 0'),
    ],
)
def test_bad_mixtures(parts, message):
    with pytest.raises(MattingError) as caught:
        mix_datasets(parts)
    assert message in str(caught.value)
