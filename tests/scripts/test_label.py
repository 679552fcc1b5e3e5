import csv
import json

import numpy as np
from PIL import Image

from mattingjax.data.datasets import open_dataset
from tests.conftest import assert_one_line_error


def test_photos_become_a_dataset(run_script, mmnet_path, tmp_path):
    for folder in ('photos', 'masks'):
        (tmp_path / folder).mkdir()
    for i in range(2):
        photo = np.random.default_rng(i).integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(photo).save(tmp_path / 'photos' / f'{i}.png')
        Image.fromarray(np.uint8(255 * (photo[..., 0] > 127))).save(tmp_path / f'masks/{i}.png')
    output = tmp_path / 'labels'
    command = [
        'label', '--teacher', mmnet_path, '--images', tmp_path / 'photos',
        '--masks', tmp_path / 'masks', '--output', output, '--most_doubt=9',
    ]  # fmt: skip
    process = run_script(*command)
    assert process.returncode == 0, process.stderr.decode()
    assert b'2 labelled, 0 left out, 0 unreadable' in process.stdout
    assert str(output / 'labels.csv') in process.stdout.decode().splitlines()
    assert process.stdout.decode().splitlines()[-1].endswith(f'root={output / "labels.csv"}')
    with (output / 'labels.csv').open() as file:
        assert [row['alpha'] for row in csv.DictReader(file)] == ['alpha/0.png', 'alpha/1.png']
    for record in open_dataset('csv', output / 'labels.csv'):
        assert record['image'].shape == (40, 30, 3)
        assert record['alpha'].shape == (40, 30)
    about = json.loads((output / 'labels.json').read_text())
    assert about['teacher']['checkpoint'] == str(mmnet_path)
    assert (about['input_sizes'], about['flip'], about['most_doubt']) == ([64], True, 9)
    assert about['counts']['labelled'] == 2
    assert_one_line_error(run_script(*command), 'labels', 'already')
    nothing = run_script(
        'label', '--teacher', mmnet_path, '--images', tmp_path / 'photos',
        '--output', tmp_path / 'none', '--most_doubt=0',
    )  # fmt: skip
    assert nothing.returncode == 2
    assert nothing.stderr.decode().splitlines()[-1] == (
        f'error: {tmp_path}/photos: not one of 2 photos got a label (2 doubted more than '
        f'--most_doubt=0, 0 unreadable); see {tmp_path}/none/most_doubted.png'
    )
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'a.png').write_bytes(b'x')
    bad = run_script('label', '--teacher', mmnet_path, '--images', tmp_path / 'bad',
                     '--output', tmp_path / 'bad_labels')  # fmt: skip
    assert bad.returncode == 2
    assert bad.stderr.decode().splitlines()[-1] == (
        f'error: {tmp_path}/bad: all 1 photos are unreadable'
    )
    sizes = [*command[:-2], tmp_path / 'sized', command[-1]]
    message = '--input_size: expected a multiple of 16 pixels, 16 to 16384, got 40'
    assert_one_line_error(run_script(*sizes, '--input_size=32,40'), message)
    message = "--input_size: expected whole numbers of pixels, each once, got 'x'"
    assert_one_line_error(run_script(*sizes, '--input_size=x'), message)
    assert not (tmp_path / 'sized').exists()
    inside = [*command[:-2], tmp_path / 'photos' / 'labels', command[-1]]
    assert_one_line_error(run_script(*inside), 'labels: expected a place outside of')
