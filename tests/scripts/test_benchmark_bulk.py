import pytest

pytest.importorskip('ray', reason='the extra bulk is not installed')

from tests.conftest import assert_one_line_error
from tests.inference.bulk.conftest import write_photo


@pytest.mark.slow
def test_rates_and_their_ratio(run_script, tmp_path):
    write_photo(tmp_path / 'photo.png')
    finished = run_script(
        'benchmark_bulk',
        '--images',
        tmp_path,
        '--photos=24',
        '--rounds=1',
        '--checkpoint=mmnet_0.5',
    )
    assert finished.returncode == 0, finished.stderr.decode()
    lines = finished.stdout.decode().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith('one core ')
    assert float(lines[3].split()[-1]) > 0
    assert 'photos per core-hour; 10,000,000 photos: ' in lines[4]


def test_no_photos(run_script, tmp_path):
    assert_one_line_error(run_script('benchmark_bulk', '--images', tmp_path), 'holds no picture')
