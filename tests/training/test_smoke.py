import pytest
from PIL import Image

from mattingjax.training.recorder import read_table
from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize('network', ['mmnet', 'modnet'])
def test_a_run_on_synthetic_portraits_halves_the_error(network, run_script, tmp_path):
    workdir = tmp_path / 'run'
    config = f'{ROOT / "configs" / "smoke.py"}:{network}'
    process = run_script('train', '--config', config, '--workdir', workdir)
    assert process.returncode == 0, process.stderr.decode()
    figures = read_table(workdir / 'validation.csv')
    assert [row['step'] for row in figures] == [0, 20, 40, 60, 80]
    assert figures[-1]['mad'] <= figures[0]['mad'] / 2
    for name in ('curves.png', 'mattes.png'):
        assert Image.open(workdir / name).size[0] > 300
