import json
import shutil
import signal
import time

import jax
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
from tests.training.conftest import run_training, start_training, tiny_config

pytestmark = pytest.mark.usefixtures('quickly_compiled')

STEPS = 36
WHOLE = {
    'steps': STEPS, 'batch_size': 8, 'dataset__count': 16, 'save_every_steps': 4, 'keep': 2,
    'validation__every_steps': 6, 'optimizer__ema_decay': 0.9, 'model__dropout': 0.1,
    'tensorboard': True, 'validation__count': 12,
}  # fmt: skip

# In the process of a training: a signal to itself when a step is recorded, and there is a state.
SIGNAL = """
import signal, time
from pathlib import Path
from mattingjax.training.recorder import Recorder

add_step = Recorder.add_step

def add_step_with_signal(self, step, *rest):
    if step == {step}:
        states = Path(self.workdir) / 'states'
        while {wait} and not any(path.name.isdigit() for path in states.iterdir()):
            time.sleep(0.01)
        signal.raise_signal(signal.{name})
    return add_step(self, step, *rest)

Recorder.add_step = add_step_with_signal
"""


def losses(workdir):
    return {int(row['step']): row['loss'] for row in read_table(workdir / 'metrics.csv')}


def end(workdir):
    """The network at the end, and the best one: variables and the steps that they are of."""
    found = [mattingjax.load_checkpoint(workdir / name) for name in ('last', 'best')]
    steps = [checkpoint.config.provenance['trained']['step'] for checkpoint in found]
    return [checkpoint.variables for checkpoint in found], steps


def assert_as_if_nothing_had_happened(workdir, whole):
    assert losses(workdir) == losses(whole)
    assert read_table(workdir / 'validation.csv') == read_table(whole / 'validation.csv')
    (variables, steps), (expected, expected_steps) = end(workdir), end(whole)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, variables, expected)))
    assert steps == expected_steps


def states(workdir):
    return sorted(int(path.name) for path in (workdir / 'states').iterdir() if path.name.isdigit())


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A training that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('whole') / 'run'
    assert train(tiny_config(**WHOLE), workdir).is_finished
    return workdir


def test_what_a_training_leaves(whole):
    assert sorted(losses(whole)) == list(range(1, STEPS + 1))
    figures = read_table(whole / 'validation.csv')
    assert [row['step'] for row in figures] == list(range(0, STEPS + 1, 6))
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
        'dataset': 16, 'validation': 12
    }  # fmt: skip
    assert states(whole) == [32, 36]
    (events,) = (whole / 'tensorboard').iterdir()
    for tag in (b'train/loss', b'train/learning_rate', b'validation/mad', b'mattes'):
        assert tag in events.read_bytes()


def test_killed_at_any_step_it_goes_on_to_the_bit(whole, tmp_path):
    """Killed with its data made by a worker process, it goes on without: that may change."""
    workdir = tmp_path / 'run'
    step = int(np.random.default_rng().integers(5, 12))
    print(f'killed at step {step}')
    kill = SIGNAL.format(name='SIGKILL', step=step, wait=True)
    process = run_training(workdir, before=kill, **WHOLE, data__workers=1)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    before = read_table(workdir / 'metrics.csv')
    state = states(workdir)[-1]
    assert 0 < state < step
    assert train(tiny_config(**WHOLE), workdir).is_finished
    assert_as_if_nothing_had_happened(workdir, whole)
    # Up to the state rows are as they were, the speed included; then come other ones.
    after = read_table(workdir / 'metrics.csv')
    assert STEPS - state >= 20
    assert after[:state] == before[:state]
    for lost, done_again in zip(before[state:], after[state:], strict=False):
        assert lost['images_per_second'] != done_again['images_per_second']


# The same in other places, at the first call of which the condition is true, and then once more.
SIGNALS = """
import signal, time
from mattingjax.training import loop
from mattingjax.training.saved_states import Saver

original, count = {place}, 0

def with_signals(*args, **kwargs):
    global count
    count += 1
    result = original(*args, **kwargs)
    if {condition}:
        for _ in range({times}):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.3)  # heard by another thread
    return result

{place} = with_signals
"""


def test_asked_to_end_it_saves_and_stops(whole, tmp_path):
    workdir = tmp_path / 'run'
    # Nothing would be saved before the end but for the signal, nor validated at its step.
    stop = SIGNAL.format(name='SIGTERM', step=7, wait=False)
    process = run_training(workdir, before=stop, **WHOLE | {'save_every_steps': 1000})
    assert process.returncode == 143, process.stderr.decode()
    assert b'stopped; saved after step 8; the same command goes on' in process.stdout
    assert b'stopping: the step is finished, then saved' in process.stderr
    assert states(workdir) == [8]
    assert max(losses(workdir)) == 8
    assert [row['step'] for row in read_table(workdir / 'validation.csv')] == [0, 6]
    assert end(workdir)[1][0] == 8
    assert (workdir / 'curves.png').is_file()
    assert train(tiny_config(**WHOLE), workdir).is_finished
    assert_as_if_nothing_had_happened(workdir, whole)


@pytest.mark.parametrize(
    ('place', 'condition', 'times', 'step', 'words'),
    [
        # After the first validation and the trial of its program comes that of step 6, of two
        # batches: the second is left out, and done when it goes on.
        ('loop.predict', 'count == 4', 1, 6, b'stopped; saved after step 6; the same command'),
        ('Saver.save', 'count == 1', 1, 4, b'stopped; saved after step 4; the same command'),
        # What is being saved when it has to leave at once is saved.
        ('Saver.save', 'count == 1', 2, 4, b'stopped; the same command goes on from step 4'),
    ],
)
def test_ctrl_c_while_it_validates_or_saves(whole, tmp_path, place, condition, times, step, words):
    workdir = tmp_path / 'run'
    before = SIGNALS.format(place=place, condition=condition, times=times)
    process = run_training(workdir, before=before, **WHOLE)
    output = process.stdout + process.stderr
    assert process.returncode == 130, output.decode()
    assert words in output
    assert b'Traceback' not in output
    assert states(workdir)[-1] == step
    assert not [path for path in workdir.rglob('*') if is_half_written(path)]
    assert train(tiny_config(**WHOLE), workdir).is_finished
    assert_as_if_nothing_had_happened(workdir, whole)


def is_half_written(path):
    return path.name.startswith(('.last.', '.best.', '.writing.')) or 'tmp' in path.name


def test_a_second_ctrl_c_leaves_at_once(whole, tmp_path):
    workdir = tmp_path / 'run'
    twice = SIGNALS.format(place='loop.Training._record', condition='count == 7', times=2)
    process = run_training(workdir, before=twice, **WHOLE)
    assert process.returncode == 130, process.stderr.decode()
    assert b'stopped; the same command goes on from step 4' in process.stderr
    assert states(workdir) == [4]
    assert train(tiny_config(**WHOLE), workdir).is_finished
    assert_as_if_nothing_had_happened(workdir, whole)


def test_ctrl_c_in_a_program_of_ones_own(tmp_path, monkeypatch, request):
    """It is Python's own before the first step, where nothing is lost; later a stop that saves."""
    workdir, compiled = tmp_path / 'run', step_that_fails('loss', 0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def compile_step(self):
        if at == 0:
            signal.raise_signal(signal.SIGINT)
        return step

    def step(state, *rest):
        if int(state.step) == at:
            signal.raise_signal(signal.SIGINT)
        return compiled(state, *rest)

    monkeypatch.setattr(Training, '_compile_step', compile_step)
    at = 0
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(), workdir)
    at = 2
    outcome = train(tiny_config(), workdir)
    assert (outcome.step, outcome.is_finished, outcome.stopped_by) == (3, False, signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    at = None
    assert train(tiny_config(), workdir).is_finished
    assert sorted(losses(workdir)) == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_while_it_compiles_is_answered_at_once(tmp_path):
    workdir = tmp_path / 'run'
    with start_training(workdir) as process:
        for line in process.stderr:
            if line.startswith(b'compiling'):
                break
        time.sleep(2)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b'stopped; the same command begins anew\n'
        assert process.wait() == 130
        assert time.monotonic() - start < 10


def test_what_a_killed_training_left_is_removed(tmp_path):
    workdir = tmp_path / 'run'
    for name in ('.last.abc', '.best.def', '.best.old.ghi', 'states/4.orbax-checkpoint-tmp'):
        (workdir / name).mkdir(parents=True)
        (workdir / name / 'config.json').write_text(name)
    for name in ('.writing.jkl', '.mine'):
        (workdir / name).write_text(name)
    remove_leftovers(workdir)
    assert sorted(path.name for path in workdir.iterdir()) == ['.mine', 'best', 'states']
    # It was put aside to be replaced.
    assert (workdir / 'best' / 'config.json').read_text() == '.best.old.ghi'
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
    assert narrow.init == 4
    assert narrow.encoder[9].features == 12
    assert np.isfinite(list(losses(workdir).values())).all()
    # From the state of step 3, after the pruning.
    earlier = losses(workdir)
    shutil.rmtree(workdir / 'states' / '4')
    assert train(config, workdir).is_finished
    assert losses(workdir) == earlier


def step_that_fails(name, at):
    def step(state, batch, teacher, inputs):
        values = {'loss': 0.5, 'gradient_norm': 1.0}
        return state.replace(step=state.step + 1), values | (
            {name: np.inf} if int(state.step) + 1 == at else {}
        )

    return step


@pytest.mark.parametrize(
    ('name', 'words'), [('loss', 'loss'), ('gradient_norm', 'norm of the gradient')]
)
def test_what_is_not_finite_ends_it(tmp_path, monkeypatch, name, words):
    monkeypatch.setattr(Training, '_compile_step', lambda self: step_that_fails(name, 5))
    config = tiny_config()
    with pytest.raises(NotFiniteError, match=rf'step 5: expected a finite {words}, got inf'):
        train(config, tmp_path / 'run')
    assert list(losses(tmp_path / 'run')) == [1, 2, 3, 4]
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
