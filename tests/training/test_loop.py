"""A training that runs through: what it leaves, what it leaves out, what ends it."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import mattingjax
from mattingjax.errors import MattingError
from mattingjax.training import NotFiniteError, train
from mattingjax.training.inputs import create_batches, open_sources
from mattingjax.training.loop import Training
from mattingjax.training.recorder import read_table
from mattingjax.training.settings import complete_settings
from mattingjax.training.workdir import remove_leftovers
from tests.training.conftest import (
    STEPS,
    find_states,
    read_losses,
    step_that_fails,
    tiny_config,
)

pytestmark = pytest.mark.usefixtures('quickly_compiled')


def test_what_a_training_leaves(whole):
    assert sorted(read_losses(whole)) == list(range(1, STEPS + 1))
    figures = read_table(whole / 'validation.csv')
    assert [row['step'] for row in figures] == [0, 10, 20, 30, STEPS]
    assert all(0 < row['mad'] < 1 for row in figures)
    for name in ('curves.png', 'mattes.png'):
        assert np.asarray(Image.open(whole / name)).std() > 10
    best = min(figures, key=lambda row: (row['mad'], -row['step']))
    trained = mattingjax.load_checkpoint(whole / 'best').config.provenance['trained']
    assert trained['step'] == best['step']
    assert trained['validation']['mad'] == pytest.approx(best['mad'], rel=1e-6)
    assert trained['settings']['optimizer']['ema_decay'] == 0.9
    last = mattingjax.load_checkpoint(whole / 'last')
    assert last.config.provenance['trained']['step'] == STEPS
    photo = np.zeros((40, 30, 3), np.uint8)
    assert mattingjax.create_predictor(whole / 'last')(photo).shape == (40, 30)
    data = json.loads((whole / 'data.json').read_text())
    assert {name: part['records'] for name, part in data.items()} == {
        'dataset': 16, 'validation': 3
    }  # fmt: skip
    assert find_states(whole) == [32, 36]
    (events,) = (whole / 'tensorboard').iterdir()
    for tag in (b'train/loss', b'train/learning_rate', b'validation/mad', b'mattes'):
        assert tag in events.read_bytes()


def test_what_a_killed_training_left_is_removed(tmp_path):
    workdir = tmp_path / 'run'
    parts = ('.last.writing.abcdefgh', '.best.writing.ijklmnop', '.best.old.qrstuvwx')
    for name in (*parts, 'states/4.orbax-checkpoint-tmp'):
        (workdir / name).mkdir(parents=True)
        (workdir / name / 'config.json').write_text(name)
    for name in ('.writing.jkl', '.mine'):
        (workdir / name).write_text(name)
    remove_leftovers(workdir)
    assert sorted(path.name for path in workdir.iterdir()) == ['.mine', 'best', 'states']
    # It was put aside to be replaced.
    assert (workdir / 'best' / 'config.json').read_text() == '.best.old.qrstuvwx'
    assert not list((workdir / 'states').iterdir())


def test_channels_go_while_it_trains(tmp_path):
    settings = {
        'steps': 4, 'validation__every_steps': 4, 'save_every_steps': 3, 'pruning__ratio': 0.5,
        'pruning__end_step': 2, 'pruning__every_steps': 2, 'pruning__round_to': 1,
        'pruning__min_channels': 1, 'optimizer__ema_decay': 0.9,
    }  # fmt: skip
    config = tiny_config(**settings)
    workdir = tmp_path / 'run'
    assert train(config, workdir).is_finished
    narrow = mattingjax.load_checkpoint(workdir / 'last').config.architecture
    assert narrow.stem == 4
    assert narrow.body == 12
    assert np.isfinite(list(read_losses(workdir).values())).all()
    # From the state of step 3, after the pruning.
    earlier = read_losses(workdir)
    shutil.rmtree(workdir / 'states' / '4')
    assert train(config, workdir).is_finished
    assert read_losses(workdir) == earlier


@pytest.mark.parametrize(
    ('name', 'words'), [('loss', 'loss'), ('gradient_norm', 'norm of the gradient')]
)
def test_what_is_not_finite_ends_it(tmp_path, monkeypatch, name, words):
    monkeypatch.setattr(Training, '_compile_dispatch', lambda self: step_that_fails(name, 5))
    config = tiny_config()
    with pytest.raises(NotFiniteError, match=rf'step 5: expected a finite {words}, got inf'):
        train(config, tmp_path / 'run')
    assert list(read_losses(tmp_path / 'run')) == [1, 2, 3, 4]
    config = complete_settings(config)
    batches = create_batches(config, open_sources(config), 32, trimap=False)
    expected = [next(batches) for _ in range(5)][-1]
    with np.load(tmp_path / 'run' / 'not_finite.npz') as batch:
        for name in ('image', 'alpha', 'index'):
            np.testing.assert_array_equal(batch[name], expected[name])


@pytest.fixture
def photos(tmp_path):
    """Five photos to train on and five to validate on; one of each is damaged."""
    for split in ('train', 'test'):
        for kind in ('image', 'mask'):
            folder = tmp_path / split / kind
            folder.mkdir(parents=True)
            for i in range(5):
                pixels = np.random.default_rng(i).integers(0, 256, (40, 36, 3), np.uint8)
                picture = Image.fromarray(pixels if kind == 'image' else pixels[..., 0])
                picture.save(folder / f'{i}.png')
    (tmp_path / 'train' / 'image' / '3.png').write_bytes(b'no picture')
    (tmp_path / 'test' / 'mask' / '1.png').write_bytes(b'no picture')
    return tmp_path


def test_photos_that_cannot_be_read_are_counted(photos, capsys):
    settings = {
        'steps': 3, 'dataset__kind': 'mmnet', 'dataset__root': str(photos),
        'validation__kind': 'mmnet', 'validation__split': 'test', 'validation__every_steps': 3,
    }  # fmt: skip
    workdir = photos / 'run'
    assert train(tiny_config(**settings), workdir).is_finished
    assert sum(row['skipped'] for row in read_table(workdir / 'metrics.csv')) >= 2
    output = capsys.readouterr().err
    assert '2 photos could not be read: ' in output
    assert f'{photos}/test/mask/1.png' in output
    assert f'{photos}/train/image/3.png' in output
    data = json.loads((workdir / 'data.json').read_text())
    assert [len(data[name]['sha256']) for name in ('dataset', 'validation')] == [10, 10]

    # It does not go on with other photos.
    for folder in ('image', 'mask'):
        (photos / 'test' / folder / '0.png').unlink()
    with pytest.raises(MattingError, match=r'validation: 2 files missing \(image/0.png, mask/0'):
        train(tiny_config(**settings, data__workers=1), workdir)

    strict = tiny_config(**settings, data__on_error='raise')
    with pytest.raises(MattingError, match=r'1\.png'):
        train(strict, photos / 'strict')
    assert not (photos / 'strict').exists()
