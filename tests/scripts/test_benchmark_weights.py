import pytest

from tests.conftest import assert_one_line_error


@pytest.mark.parametrize('networks', ['/a/path', 'a=x,a=y', '../a=x'])
def test_names_are_not_paths(run_script, tmp_path, networks):
    process = run_script('benchmark_weights', '--output', tmp_path / 'out', '--networks', networks)
    assert_one_line_error(process, '--networks: expected names of letters', 'NAME=CHECKPOINT')
    assert not (tmp_path / 'out').exists()
