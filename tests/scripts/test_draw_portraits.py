import json

import numpy as np
import pytest

from mattingjax import MattingError
from mattingjax.data.datasets import open_dataset
from mattingjax.data.synthetic import SyntheticPortraits, render_portrait, write_portraits
from mattingjax.images import load_image
from tests.conftest import assert_one_line_error


def test_portraits_become_cutouts_and_backgrounds(run_script, tmp_path):
    output = tmp_path / 'drawn'
    command = ['draw_portraits', '--count=3', '--size=48', '--seed=7', '--output', output]
    process = run_script(*command)
    assert process.returncode == 0, process.stderr.decode()
    assert process.stdout.decode().splitlines()[-1] == str(output)
    people = open_dataset('rgba', output / 'cutout')
    backgrounds = open_dataset('unlabelled', output / 'background')
    assert len(people) == len(backgrounds) == 3
    for index in range(3):
        expected = render_portrait(7, index, 48)
        person = people[index]
        np.testing.assert_allclose(person['alpha'], expected.alpha, atol=0.5 / 255 + 1e-6)
        np.testing.assert_array_equal(person['foreground'], expected.foreground)
        np.testing.assert_array_equal(backgrounds[index]['image'], expected.background)
    height, width, _ = load_image(output / 'overview.png').shape
    assert width > 3 * 160 > height > 160
    description = json.loads((output / 'portraits.json').read_text())
    assert (description['count'], description['size'], description['seed']) == (3, 48, 7)

    assert_one_line_error(run_script(*command), 'drawn', 'already')


def test_portraits_replace_portraits_alone(tmp_path):
    portraits = SyntheticPortraits(2, 32)
    write_portraits(portraits, tmp_path / 'drawn')
    write_portraits(SyntheticPortraits(1, 32), tmp_path / 'drawn', overwrite=True)
    assert len(open_dataset('rgba', tmp_path / 'drawn/cutout')) == 1

    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/overview.png').touch()
    with pytest.raises(MattingError, match='mine: the folder is not empty'):
        write_portraits(portraits, tmp_path / 'mine', overwrite=True)
    with pytest.raises(MattingError, match='workers: expected at least 1, got 0'):
        write_portraits(portraits, tmp_path / 'other', workers=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['drawn', 'mine']
