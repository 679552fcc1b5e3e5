import json

import pytest
from PIL import Image

from mattingjax.evaluation.weights import compare_weights
from tests.conftest import assert_one_line_error


@pytest.mark.parametrize('networks', ['/a/path', 'a=x,a=y', '../a=x'])
def test_names_are_not_paths(run_script, tmp_path, networks):
    process = run_script('benchmark_weights', '--output', tmp_path / 'out', '--networks', networks)
    assert_one_line_error(process, '--networks: expected names of letters', 'NAME=CHECKPOINT')
    assert not (tmp_path / 'out').exists()


def test_a_flag_tells_what_alphas_mean(run_script, tmp_path):
    for folder in ('photos', 'masks'):
        (tmp_path / folder).mkdir()
        Image.new('L', (40, 40), 15).save(tmp_path / folder / 'a.png')
    process = run_script(
        'benchmark_weights', '--output', tmp_path / 'out', '--networks=mmnet', '--nolatency',
        '--images', tmp_path / 'photos', '--alphas', tmp_path / 'masks', '--alpha_values=labels:7',
    )  # fmt: skip
    assert_one_line_error(
        process, 'masks: --alpha_values=labels:7: no such label in 1 of the files'
    )


def test_figures_are_written_before_they_are_told(mmnet_path, tmp_path):
    def tell(table):
        assert 'small' in table
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        compare_weights({'small': str(mmnet_path)}, {}, tmp_path, tell=tell)
    assert json.loads((tmp_path / 'weights.json').read_text())['small']['parameters'] > 0
