"""Trainings whose photos lie on the device: resumed and divided into rounds, to the bit."""

import numpy as np
import pytest

from mattingjax.data.on_device.batches import DeviceBatches
from mattingjax.errors import MattingError
from mattingjax.training import NotFiniteError, train
from mattingjax.training.experiment import create_experiment
from mattingjax.training.inputs import create_batches, create_inputs, open_sources
from mattingjax.training.loop import Training
from mattingjax.training.recorder import read_table
from mattingjax.training.settings import complete_settings
from tests.training.conftest import (
    assert_as_if_nothing_had_happened,
    find_states,
    read_losses,
    run_training,
    tiny_config,
)
from tests.training.test_devices import DEVICES
from tests.training.test_interruption import SIGNAL

pytestmark = pytest.mark.usefixtures('quickly_compiled')

ON_DEVICE = {
    'steps': 11, 'batch_size': 4, 'data__on_device': True, 'data__side': 48,
    'data__transform': 'modnet', 'data__steps_per_dispatch': 4, 'validation__every_steps': 5,
    'save_every_steps': 3, 'keep': 9, 'optimizer__ema_decay': 0.9, 'model__dropout': 0.1,
}  # fmt: skip


@pytest.fixture(scope='module')
def whole(quickly_compiled, tmp_path_factory):
    """The folder of a training that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('on_device') / 'run'
    assert train(tiny_config(**ON_DEVICE), workdir).is_finished
    return workdir


def open_inputs(**changes):
    config = complete_settings(tiny_config(**ON_DEVICE | changes))
    sources = open_sources(config)
    network = create_experiment(config).initial.config
    return create_inputs(config, network, sources), config, sources


def test_every_step_is_recorded_and_what_is_due_is_done(whole):
    rows = read_table(whole / 'metrics.csv')
    assert [row['step'] for row in rows] == list(range(1, 12))
    assert np.isfinite([row['loss'] for row in rows]).all()
    assert all(row['images_per_second'] > 0 for row in rows)
    assert [row['step'] for row in read_table(whole / 'validation.csv')] == [0, 5, 10, 11]
    assert find_states(whole) == [3, 6, 9, 11]


def test_rounds_of_any_length_give_the_same_bits(whole, tmp_path):
    """Saved and validated at other steps, it is divided otherwise."""
    workdir = tmp_path / 'run'
    changes = {'save_every_steps': 1, 'validation__every_steps': 5}
    assert train(tiny_config(**ON_DEVICE | changes), workdir).is_finished
    assert_as_if_nothing_had_happened(workdir, whole)


def test_one_program_for_many_steps_computes_what_one_for_each_does(whole, tmp_path):
    """Not to the bit: XLA may fuse the operations of a loop otherwise."""
    workdir = tmp_path / 'run'
    assert train(tiny_config(**ON_DEVICE | {'data__steps_per_dispatch': 1}), workdir).is_finished
    singly, together = read_losses(workdir), read_losses(whole)
    assert singly.keys() == together.keys()
    np.testing.assert_allclose(list(singly.values()), list(together.values()), rtol=1e-3)


def test_asked_to_end_it_stops_after_a_round_and_goes_on_to_the_bit(whole, tmp_path):
    workdir = tmp_path / 'run'
    stop = SIGNAL.format(name='SIGTERM', step=4, wait=False, times=1)
    process = run_training(workdir, before=stop, **ON_DEVICE)
    assert process.returncode == 143, process.stderr.decode()
    assert b'8 photos on the device: 0 MiB' in process.stderr
    # Steps 4 and 5 end with a validation; they are recorded while nothing else is computed.
    assert max(read_losses(workdir)) == 5
    assert find_states(workdir)[-1] == 5
    assert train(tiny_config(**ON_DEVICE), workdir).is_finished
    assert_as_if_nothing_had_happened(workdir, whole)


def test_records_come_as_those_of_a_pipeline():
    inputs, config, sources = open_inputs(dataset__count=7)
    assert isinstance(inputs.batches, DeviceBatches)
    pipeline = create_batches(config, sources, 32, trimap=False)
    for count in (4, 1, 3):
        taken = inputs.batches.take(count)
        for i in range(count):
            expected, found = next(pipeline), inputs.batches.read_batch(taken, i)
            np.testing.assert_array_equal(found['index'], expected['index'])
            assert found['name'] == expected['name']
            assert found['image'].shape == expected['image'].shape
    assert inputs.batches.get_state() == pipeline.get_state()


def test_a_batch_depends_on_seed_and_step_alone():
    batches = open_inputs()[0].batches
    taken = [batches.take(1) for _ in range(3)]
    expected = [batches.read_batch(one, 0) for one in taken]
    assert not np.array_equal(expected[0]['image'], expected[1]['image'])
    again = open_inputs()[0].batches
    again.set_state({**again.get_state(), 'step': 1})
    together = again.take(2)
    for i in (0, 1):
        found = again.read_batch(together, i)
        np.testing.assert_array_equal(found['image'], expected[i + 1]['image'])
    first = next(iter(again.first_images(1)))
    np.testing.assert_array_equal(first, expected[0]['image'])
    other = open_inputs(seed=1)[0].batches
    assert not np.array_equal(other.read_batch(other.take(1), 0)['image'], expected[0]['image'])
    with pytest.raises(MattingError, match='expected batch_size 4, got 5'):
        again.set_state({**again.get_state(), 'batch_size': 5})


def test_what_is_not_finite_ends_it_with_its_batch(tmp_path, monkeypatch):
    def compile_dispatch(self):
        def dispatch(state, held, arrays, count, teacher, inputs):
            steps = int(state.step) + np.arange(1, 5)
            loss = np.where(steps == 5, np.inf, 0.5)
            return state.replace(step=state.step + count), {'loss': loss, 'gradient_norm': loss}

        return dispatch

    monkeypatch.setattr(Training, '_compile_dispatch', compile_dispatch)
    with pytest.raises(NotFiniteError, match='step 5: expected a finite loss, got inf'):
        train(tiny_config(**ON_DEVICE), tmp_path / 'run')
    assert list(read_losses(tmp_path / 'run')) == [1, 2, 3, 4]
    batches = open_inputs()[0].batches
    batches.take(3)
    expected = batches.read_batch(batches.take(2), 1)
    with np.load(tmp_path / 'run' / 'not_finite.npz') as batch:
        for name in ('image', 'alpha', 'index', 'name'):
            np.testing.assert_array_equal(batch[name], expected[name])


@pytest.mark.slow
def test_channels_go_while_it_trains(tmp_path):
    changes = {
        'steps': 5, 'pruning__ratio': 0.5, 'pruning__end_step': 2, 'pruning__every_steps': 2,
        'pruning__round_to': 1, 'pruning__min_channels': 1,
    }  # fmt: skip
    assert train(tiny_config(**ON_DEVICE | changes), tmp_path / 'run').is_finished
    assert list(read_losses(tmp_path / 'run')) == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_devices_share_a_batch(tmp_path):
    changes = {
        'steps': 4, 'model__dropout': 0.0, 'optimizer__name': 'sgd',
        'optimizer__learning_rate': 1e-5, 'data__transform': 'strong',
    }  # fmt: skip
    losses = {}
    for devices in (1, 2):
        workdir = tmp_path / str(devices)
        before = DEVICES.format(devices)
        process = run_training(workdir, before=before, **ON_DEVICE | changes)
        assert process.returncode == 0, process.stderr.decode()
        losses[devices] = list(read_losses(workdir).values())
    assert losses[2] == pytest.approx(losses[1], abs=1e-4)


def test_bad_settings(tmp_path, monkeypatch):
    with pytest.raises(MattingError, match=r'steps_per_dispatch: expected 1 without .*, got 4'):
        train(tiny_config(**ON_DEVICE | {'data__on_device': False}), tmp_path / 'run')
    monkeypatch.setattr('mattingjax.training.inputs.photos_limit', lambda: 1000.0)
    with pytest.raises(MattingError, match=r'config\.data: side: expected pictures that fit into'):
        train(tiny_config(**ON_DEVICE), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
