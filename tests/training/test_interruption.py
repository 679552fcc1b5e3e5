"""Killed, asked to end or interrupted anywhere, a training goes on as if nothing had happened."""

import signal
import time

import numpy as np
import pytest

from mattingjax.training import train
from mattingjax.training.loop import Training
from mattingjax.training.recorder import read_table
from tests.training.conftest import (
    STEPS,
    WHOLE,
    assert_as_if_nothing_had_happened,
    find_states,
    load_end,
    read_losses,
    run_training,
    start_training,
    step_that_fails,
    tiny_config,
)

pytestmark = pytest.mark.usefixtures('quickly_compiled')

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
        for _ in range({times}):
            signal.raise_signal(signal.{name})
    return add_step(self, step, *rest)

Recorder.add_step = add_step_with_signal
"""


def test_killed_at_any_step_it_goes_on_to_the_bit(whole, tmp_path):
    """Killed with its data made by a worker process, it goes on without: that may change."""
    workdir = tmp_path / 'run'
    step = int(np.random.default_rng().integers(5, 12))
    print(f'killed at step {step}')
    kill = SIGNAL.format(name='SIGKILL', step=step, wait=True, times=1)
    process = run_training(workdir, before=kill, **WHOLE, data__workers=1)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    before = read_table(workdir / 'metrics.csv')
    state = find_states(workdir)[-1]
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
            time.sleep(0.4)  # heard by another thread, and no echo
    return result

{place} = with_signals
"""


def test_asked_to_end_it_saves_and_stops(whole, tmp_path):
    workdir = tmp_path / 'run'
    # Nothing would be saved before the end but for the signal, nor validated at its step.
    # It comes twice, as from `timeout`.
    stop = SIGNAL.format(name='SIGTERM', step=11, wait=False, times=2)
    process = run_training(workdir, before=stop, **WHOLE | {'save_every_steps': 1000})
    assert process.returncode == 143, process.stderr.decode()
    assert b'stopped; saved after step 12; the same command goes on' in process.stdout
    assert b'stopping: the step is finished, then saved' in process.stderr
    assert find_states(workdir) == [12]
    assert max(read_losses(workdir)) == 12
    assert [row['step'] for row in read_table(workdir / 'validation.csv')] == [0, 10]
    assert load_end(workdir)[1][0] == 12
    assert (workdir / 'curves.png').is_file()
    assert train(tiny_config(**WHOLE), workdir).is_finished
    assert_as_if_nothing_had_happened(workdir, whole)


@pytest.mark.parametrize(
    ('place', 'condition', 'times', 'step', 'words'),
    [
        # After the first validation and the trial of its program comes that of step 10, of two
        # batches: the second is left out, and done when it goes on.
        ('loop.predict', 'count == 4', 1, 10, b'stopped; saved after step 10; the same command'),
        pytest.param(
            'Saver.save',
            'count == 1',
            1,
            4,
            b'stopped; saved after step 4; the same command',
            marks=pytest.mark.slow,
        ),
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
    assert find_states(workdir)[-1] == step
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
    assert find_states(workdir) == [4]
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

    monkeypatch.setattr(Training, '_compile_dispatch', compile_step)
    at = 0
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(), workdir)
    at = 2
    outcome = train(tiny_config(), workdir)
    assert (outcome.step, outcome.is_finished, outcome.stopped_by) == (3, False, signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    at = None
    assert train(tiny_config(), workdir).is_finished
    assert sorted(read_losses(workdir)) == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_while_it_compiles_is_answered_at_once(tmp_path):
    workdir = tmp_path / 'run'
    with start_training(workdir, network='mmnet') as process:  # the toy would be too quick
        for line in process.stderr:
            if line.startswith(b'compiling'):
                break
        time.sleep(2)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b'stopped; the same command begins anew\n'
        assert process.wait() == 130
        assert time.monotonic() - start < 10
