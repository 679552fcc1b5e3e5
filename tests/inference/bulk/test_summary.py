"""What is said of a run."""

from mattingjax.inference.bulk.summary import BulkSummary


def test_the_rate_of_a_moment_is_not_told():
    summary = BulkSummary(workers=2)
    summary.count(32, 0, 10.0)
    summary.count(31, 1, 12.0)
    said = '63 matted, 1 failed, 0 there already in 12.0 s, of which 10.0 s to the first, '
    assert summary.describe() == f'{said}5.2 photos/s'
    summary.count(32, 0, 26.0)
    assert summary.photos_per_core_hour == 3600 * 64 / 16 / 2
    assert summary.describe().endswith('3.7 photos/s; then 7,200 photos per core-hour')
