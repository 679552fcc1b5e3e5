import numpy as np

from mattingjax.data.datasets import open_dataset
from mattingjax.data.synthetic import render_portrait
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

    assert_one_line_error(run_script(*command), 'drawn', 'already')
    assert_one_line_error(run_script(*command[:-2]), '--output')
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/mine.png').touch()
    mine = [*command[:-1], tmp_path / 'photos', '--overwrite']
    assert_one_line_error(run_script(*mine), 'photos: the folder is not empty')
