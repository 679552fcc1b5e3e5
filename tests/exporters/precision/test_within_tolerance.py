import math

import pytest

from exporters.precision.within_tolerance import compress_within, share_of_largest


@pytest.mark.parametrize(
    ('sizes', 'count', 'share'), [([6, 3, 1], 2, 0.9), ([6, 3, 1], 0, 0), ([6], 1, 1), ([], 0, 0)]
)
def test_the_share_of_the_largest(sizes, count, share):
    assert share_of_largest(sizes, count) == share


@pytest.mark.parametrize('beyond', [0.3, math.nan])
def test_as_many_as_the_limit_allows(beyond):
    def measure(count):
        return 0.01 * count if count <= 5 else beyond

    found = compress_within('model', lambda _, count: (count, count / 9), 9, measure, 0.2)
    assert found == (5, 5 / 9)
