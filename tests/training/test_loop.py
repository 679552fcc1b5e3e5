import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import mattingjax
from mattingjax.errors import MattingError
from mattingjax.training import NotFiniteError, train
from mattingjax.training.tables import read_table
from tests.conftest import ROOT, assert_one_line_error
from tests.training.conftest import tiny_config

STEPS = 30
WHOLE = {
    'steps': STEPS, 'batch_size': 8, 'dataset__count': 16, 'save_every_steps': 4,
    'optimizer__ema_decay': 0.9,
}  # fmt: skip


def losses(workdir):
    return {int(row['step']): row['loss'] for row in read_table(workdir / 'metrics.csv')}


def start(workdir, cache, devices=1, **changes):
    """Starts scripts/train.py with `tiny_config` in a process of its own."""
    file = workdir.parent / f'{workdir.name}_config.py'
    file.write_text(
        'from tests.training.conftest import tiny_config\n'
        f'def get_config():\n    return tiny_config(**{changes!r})\n'
    )
    environment = os.environ | {
        'PYTHONPATH': str(ROOT),
        'JAX_COMPILATION_CACHE_DIR': cache,
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.5',
        'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}',
    }
    command = [sys.executable, 'scripts/train.py', '--config', file, '--workdir', workdir]
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_step(process, workdir, step):
    deadline = time.monotonic() + 300
    while max(losses(workdir), default=0) < step:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_state(process, workdir):
    """Until one is complete: Orbax then gives it its name."""
    while not any(path.name.isdigit() for path in (workdir / 'states').iterdir()):
        assert process.poll() is None
        time.sleep(0.02)


@pytest.fixture(scope='module')
def whole(tmp_path_factory, compilation_cache):
    """A training that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('whole') / 'run'
    assert train(tiny_config(**WHOLE), workdir)
    return workdir


def test_what_a_training_leaves(whole):
    assert sorted(losses(whole)) == list(range(1, STEPS + 1))
    figures = read_table(whole / 'validation.csv')
    assert [row['step'] for row in figures] == list(range(0, STEPS + 1, 3))
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
    assert data['dataset']['records'] == 16


def test_killed_at_any_step_it_goes_on_to_the_bit(whole, tmp_path, compilation_cache):
    workdir = tmp_path / 'run'
    process = start(workdir, compilation_cache, **WHOLE)
    wait_for_step(process, workdir, int(np.random.default_rng().integers(5, 12)))
    wait_for_state(process, workdir)
    process.kill()
    process.wait()
    assert max(losses(workdir)) < STEPS, 'killed too late to show anything'
    assert train(tiny_config(**WHOLE), workdir)
    assert losses(workdir) == losses(whole)
    ends = [mattingjax.load_checkpoint(folder / 'last').variables for folder in (workdir, whole)]
    import jax

    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, *ends)))
    assert read_table(workdir / 'validation.csv') == read_table(whole / 'validation.csv')


def test_asked_to_end_it_saves_and_stops(whole, tmp_path, compilation_cache):
    workdir = tmp_path / 'run'
    # Nothing would be saved before the end but for the signal.
    process = start(workdir, compilation_cache, **WHOLE | {'save_every_steps': 1000})
    wait_for_step(process, workdir, 2)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors.decode()
    assert b'stopped; the same command goes on' in output
    reached = max(losses(workdir))
    assert reached < STEPS
    assert [path.name for path in (workdir / 'states').iterdir()] == [str(reached)]
    assert (workdir / 'curves.png').is_file()
    assert train(tiny_config(**WHOLE), workdir)
    assert losses(workdir) == losses(whole)


def test_devices_share_a_batch(compilation_cache, tmp_path):
    """Not with Adam: where a gradient is 0 but for rounding, its first steps go either way.

    And in short steps: photos this small leave one pixel in the deepest layers, so that batch
    normalisation over 8 values multiplies any rounding.
    """
    config = WHOLE | {
        'steps': 6, 'optimizer__name': 'sgd', 'optimizer__learning_rate': 1e-4,
        'validation__every_steps': 6, 'save_every_steps': 6,
    }  # fmt: skip
    found = {}
    for devices in (1, 2, 8):
        workdir = tmp_path / str(devices)
        process = start(workdir, compilation_cache, devices, **config)
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 0, errors.decode()
        found[devices] = losses(workdir)
    assert list(found[1]) == [1, 2, 3, 4, 5, 6]
    for devices in (2, 8):
        assert found[devices] == pytest.approx(found[1], abs=1e-4)


def test_channels_go_while_it_trains(tmp_path, compilation_cache):
    settings = {
        'steps': 4, 'validation__every_steps': 4, 'save_every_steps': 3, 'pruning__ratio': 0.5,
        'pruning__end_step': 2, 'pruning__every_steps': 2, 'pruning__round_to': 1,
        'pruning__min_channels': 1, 'optimizer__ema_decay': 0.9,
    }  # fmt: skip
    config = tiny_config(**settings)
    workdir = tmp_path / 'run'
    assert train(config, workdir)
    narrow = mattingjax.load_checkpoint(workdir / 'last').config.architecture
    assert narrow.init == 4
    assert narrow.encoder[9].features == 12
    assert np.isfinite(list(losses(workdir).values())).all()
    # From the state of step 3, after the pruning.
    earlier = losses(workdir)
    import shutil

    shutil.rmtree(workdir / 'states' / '4')
    assert train(config, workdir)
    assert losses(workdir) == earlier


def test_a_loss_that_is_not_finite_ends_it(tmp_path, compilation_cache):
    config = tiny_config(optimizer__learning_rate=1e30, optimizer__name='sgd', steps=20)
    with pytest.raises(NotFiniteError, match=r'step [2-9]: expected a finite loss, got (nan|inf)'):
        train(config, tmp_path / 'run')
    with np.load(tmp_path / 'run' / 'not_finite.npz') as batch:
        assert batch['image'].shape == (4, 32, 32, 3)
        assert len(batch['index']) == 4


def test_photos_that_cannot_be_read_are_counted(tmp_path, compilation_cache):
    for split in ('train', 'test'):
        for kind in ('image', 'mask'):
            folder = tmp_path / split / kind
            folder.mkdir(parents=True)
            for i in range(5):
                pixels = np.random.default_rng(i).integers(0, 256, (40, 36, 3), np.uint8)
                picture = Image.fromarray(pixels if kind == 'image' else pixels[..., 0])
                picture.save(folder / f'{i}.png')
    (tmp_path / 'train' / 'image' / '3.png').write_bytes(b'no picture')
    settings = {
        'steps': 3, 'dataset__kind': 'mmnet', 'dataset__root': str(tmp_path),
        'validation__kind': 'mmnet', 'validation__split': 'test', 'validation__every_steps': 3,
    }  # fmt: skip
    workdir = tmp_path / 'run'
    assert train(tiny_config(**settings), workdir)
    assert sum(row['skipped'] for row in read_table(workdir / 'metrics.csv')) >= 2
    data = json.loads((workdir / 'data.json').read_text())
    assert len(data['dataset']['sha256']) == 10
    with pytest.raises(MattingError, match=r'3\.png'):
        train(tiny_config(**settings, data__on_error='raise'), tmp_path / 'strict')


def test_another_experiments_folder_is_left_alone(whole, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob('*')}
    with pytest.raises(MattingError, match=r'batch_size was 8, is 16; choose another folder'):
        train(tiny_config(**WHOLE | {'batch_size': 16}), whole)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob('*')} == before
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(MattingError, match='expected a new folder, or one of a training'):
        train(tiny_config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        ([], ['--config: a file of settings is needed']),
        (['--config.dataset.rot=x'], ['rot', 'root']),
        (['--config.dataset.kind=mmnet'], ['dataset: root']),
        (['--config.batch_size=0'], ['batch_size: expected at least 1, got 0']),
        (['--config.loss.distillation=1'], ['loss.teacher: expected a checkpoint']),
        (['--config.model.checkpoint=nowhere'], ['nowhere: not a checkpoint']),
        (['--config.validation.best=mda'], ['validation.best', 'mad', 'mda']),
    ],
)
def test_bad_settings_are_one_line(run_script, tmp_path, arguments, parts):
    config = ['--config', ROOT / 'configs' / 'smoke.py'] if arguments else []
    process = run_script('train', '--workdir', tmp_path / 'run', *config, *arguments)
    assert_one_line_error(process, *parts)
    assert not (tmp_path / 'run').exists()
