"""A training on a pack is that on the folders which were packed, and resumes as any other."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from mattingjax.data.packing import Encoder
from mattingjax.errors import MattingError
from mattingjax.training import train
from mattingjax.training.recorder import read_table
from tests.data.packs import make_pack
from tests.training.conftest import load_end, read_losses, tiny_config


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Photos with alphas, backgrounds, and a pack of both."""
    root = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    shapes = {'image': (40, 48, 3), 'alpha': (40, 48), 'places': (50, 44, 3)}
    for folder, shape in shapes.items():
        (root / folder).mkdir()
        for i in range(10):
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f'{i}.png')
    make_pack(root / 'pack', f'people=folders:{root}', f'places=unlabelled:{root}/places')
    return root


def settings(kind, root, backgrounds, steps=6):
    return tiny_config(
        dataset__kind=kind,
        dataset__root=str(root),
        data__backgrounds=str(backgrounds),
        data__transform='strong',
        validation__kind='held_out',
        steps=steps,
    )


@pytest.fixture(scope='module')
def from_folders(photos, quickly_compiled, tmp_path_factory):
    """The folder of a training on the photos themselves."""
    workdir = tmp_path_factory.mktemp('trained') / 'folders'
    assert train(settings('folders', photos, photos / 'places'), workdir).is_finished
    return workdir


def test_it_trains_as_the_folders_do_and_resumes(photos, from_folders, tmp_path):
    workdir = tmp_path / 'run'
    pack = photos / 'pack'
    for steps in (4, 6):
        config = settings('packed', pack / 'people', pack / 'places', steps)
        assert train(config, workdir).step == steps
    assert read_losses(workdir) == read_losses(from_folders)
    tables = [read_table(run / 'validation.csv') for run in (workdir, from_folders)]
    assert tables[0][-1] == tables[1][-1]
    (variables, *_), (expected, *_) = (load_end(run)[0] for run in (workdir, from_folders))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, variables, expected)))
    data = json.loads((workdir / 'data.json').read_text())
    assert {name: (part['kind'], part['records']) for name, part in data.items()} == {
        'dataset': ('packed', 9),
        'backgrounds': ('packed', 10),
        'validation': ('packed', 1),
    }


def test_it_does_not_go_on_with_another_pack(photos, quickly_compiled, tmp_path):
    pack = tmp_path / 'pack'
    for side, steps in ((384, 4), (32, 6)):
        people = f'people=folders:{photos}'
        make_pack(pack, people, encoder=Encoder(side, 'png'), overwrite=True)
        config = settings('packed', pack / 'people', photos / 'places', steps)
        if steps == 4:
            train(config, tmp_path / 'run')
        else:
            with pytest.raises(MattingError, match=r'has changed: .*: 1 files changed \(00000\.'):
                train(config, tmp_path / 'run')


def test_damage_is_found_before_the_first_step(photos, tmp_path):
    make_pack(tmp_path / 'pack', f'people=folders:{photos}')
    path = tmp_path / 'pack' / 'people' / '00000.array_record'
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    config = settings('packed', path.parent, photos / 'places')
    with pytest.raises(MattingError, match=r'00000\.array_record: damaged or another file'):
        train(config, tmp_path / 'run')
