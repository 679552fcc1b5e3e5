import json

import numpy as np

from mattingjax.data.datasets import open_dataset
from mattingjax.images import load_image
from tests.conftest import assert_one_line_error
from tests.data.pairs import save_pairs
from tests.data.pictures import picture, save


def test_data_sets_become_a_pack(run_script, tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'mattes')
    for name in 'xyz':
        save(tmp_path / 'places' / f'{name}.png', picture(7))
    command = ['pack', '--output', tmp_path / 'pack', '--side=10', '--photos=png']
    datasets = [
        f'--dataset=people=folders:{tmp_path}',
        '--alphas=people=mattes',
        '--licence=people=CC0, as their painter says',
        f'--dataset=places=unlabelled:{tmp_path}/places',
        '--every=places=2',
    ]
    process = run_script(*command, *datasets)
    assert process.returncode == 0, process.stderr.decode()
    lines = process.stdout.decode().splitlines()
    assert [line.partition(', ')[0] for line in lines[:2]] == [
        'people: 3 records',
        'places: 2 records',
    ]
    places = open_dataset('packed', tmp_path / 'pack' / 'places')
    assert [record['name'] for record in places] == ['x', 'z']
    assert places[0]['image'].shape == (10, 15, 3)
    people = open_dataset('packed', tmp_path / 'pack' / 'people')
    mean = load_image(tmp_path / 'image' / 'b.png').reshape(10, 2, 15, 2, 3).mean((1, 3))
    np.testing.assert_allclose(people[1]['image'], mean, atol=0.51)
    content = json.loads((tmp_path / 'pack' / 'pack.json').read_text())
    assert (content['photos'], content['quality']) == ('png', None)
    assert content['parts'][0]['licence'] == 'CC0, as their painter says'

    assert_one_line_error(run_script(*command, *datasets), 'pack', 'already', '--overwrite')
    error = run_script(*command, '--overwrite', '--dataset=people=zip:photos')
    assert_one_line_error(error, '--dataset: ', 'the kind one of mmnet, ppm100, folders')
    assert len(open_dataset('packed', tmp_path / 'pack' / 'people')) == 3
