"""Several processes train one network together, as one process would alone."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mattingjax.training import train
from mattingjax.training.recorder import read_table
from tests import forked
from tests.conftest import ROOT
from tests.training.conftest import (
    STEPS,
    WHOLE,
    find_states,
    load_end,
    run_training,
    tiny_config,
)
from tests.training.test_devices import DEVICES
from tests.training.test_interruption import SIGNAL

pytestmark = pytest.mark.usefixtures('quickly_compiled')

ON_DEVICE = {'data__on_device': True, 'data__steps_per_dispatch': 3}
THINNING = {
    'pruning__ratio': 0.5, 'pruning__begin_step': 4, 'pruning__end_step': 12,
    'pruning__every_steps': 4,
}  # fmt: skip


def run_together(
    workdirs: list[Path],
    settings: list[dict[str, object]],
    before: tuple[str, str] = ('', ''),
    *,
    by_slurm: bool = False,
) -> list[subprocess.CompletedProcess]:
    """Runs two processes of a training, each with its folder, settings and what is run first."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{probe.getsockname()[1]}'
    processes = []
    for i, workdir in enumerate(workdirs):
        file = workdirs[0].parent / f'config_{i}.py'
        file.write_text(
            f'import jax\njax.config.update("jax_disable_most_optimizations", True)\n{before[i]}\n'
            'from tests.training.conftest import tiny_config\n'
            f'def get_config():\n    return tiny_config(**{settings[i]!r})\n'
        )
        command = [sys.executable, 'scripts/train.py', '--config', file, '--workdir', workdir]
        environment = os.environ | {'PYTHONPATH': str(ROOT)}
        if by_slurm:
            command += ['--coordinator', 'auto']
            environment |= slurm_task(i)
        else:
            command += ['--coordinator', address, '--processes', '2', '--process_id', str(i)]
        processes.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
    try:
        said = [process.communicate(timeout=forked.LONG_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *texts)
        for process, texts in zip(processes, said, strict=True)
    ]


def slurm_task(i: int) -> dict[str, str]:
    """What Slurm tells a task of two, both on this machine."""
    return {
        'SLURM_JOB_ID': str(os.getpid()),  # of which JAX makes the port
        'SLURM_STEP_NODELIST': 'localhost',
        'SLURM_NTASKS': '2',
        'SLURM_PROCID': str(i),
        'SLURM_LOCALID': str(i),
    }


def read_curves(workdir: Path) -> dict[str, list[float]]:
    """All that is measured, by column."""
    rows = [*read_table(workdir / 'metrics.csv'), *read_table(workdir / 'validation.csv')]
    names = {name for row in rows for name in row} - {'images_per_second'}
    return {name: [row[name] for row in rows if name in row] for name in names}


def assert_equal_curves(workdir: Path, whole: Path) -> None:
    expected = read_curves(whole)
    assert len(expected['loss']) == STEPS
    found = read_curves(workdir)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, abs=1e-4, rel=0), name
    assert load_end(workdir)[1] == load_end(whole)[1]


def test_one_is_killed_and_both_are_started_again(whole, tmp_path):
    workdir = tmp_path / 'run'
    kill = SIGNAL.format(name='SIGKILL', step=11, wait=True, times=1)
    survivor, killed = run_together([workdir] * 2, [WHOLE] * 2, ('', kill))
    assert killed.returncode == -signal.SIGKILL
    assert survivor.returncode == 2, survivor.stderr.decode()
    assert b'error: another process of this job has ended' in survivor.stderr
    assert b'Traceback' not in survivor.stderr
    states = find_states(workdir)
    assert states
    assert max(states) < 11
    ends = run_together([workdir] * 2, [WHOLE] * 2, by_slurm=True)
    for end in ends:
        assert end.returncode == 0, end.stderr.decode()
    assert_equal_curves(workdir, whole)
    assert b'finished after 36 steps' in ends[0].stdout
    assert b'finished' not in ends[1].stdout  # one of them speaks


@pytest.mark.slow
@pytest.mark.parametrize('changes', [ON_DEVICE, THINNING, {'data__workers': 1}])
def test_every_way_of_training(tmp_path, changes):
    alone, workdir = tmp_path / 'alone', tmp_path / 'run'
    assert train(tiny_config(**WHOLE | changes), alone).is_finished
    for end in run_together([workdir] * 2, [WHOLE | changes] * 2):
        assert end.returncode == 0, end.stderr.decode()
    assert_equal_curves(workdir, alone)


@pytest.mark.slow
def test_to_the_bit_one_process_with_as_many_devices(tmp_path):
    alone, workdir = tmp_path / 'alone', tmp_path / 'run'
    process = run_training(alone, before=DEVICES.format(2), **WHOLE)
    assert process.returncode == 0, process.stderr.decode()
    for end in run_together([workdir] * 2, [WHOLE] * 2):
        assert end.returncode == 0, end.stderr.decode()
    assert read_curves(workdir) == read_curves(alone)


@pytest.mark.slow
def test_a_signal_to_one_stops_all_after_the_same_step(whole, tmp_path):
    workdir = tmp_path / 'run'
    settings = WHOLE | {'save_every_steps': 1000}
    stop = SIGNAL.format(name='SIGTERM', step=11, wait=False, times=1)
    for end in run_together([workdir] * 2, [settings] * 2, ('', stop)):
        assert end.returncode == 143, end.stderr.decode()
    (state,) = find_states(workdir)
    assert 11 < state < 15
    # One process goes on with what two began.
    assert train(tiny_config(**settings), workdir).is_finished
    assert_equal_curves(workdir, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('changes', 'own', 'first'),
    [
        (
            {'optimizer__learning_rate': 2e-3},
            'settings: expected the same in all processes, got something else in process 1',
            'settings: expected the same in all processes, got something else in process 1',
        ),
        (
            {'dataset__kind': 'mmnet', 'dataset__root': '/nowhere'},
            'config.dataset.root',
            'process 1: failed, as its own output says',
        ),
    ],
)
def test_what_is_wrong_in_one_process_ends_both(tmp_path, changes, own, first):
    workdir = tmp_path / 'run'
    ends = run_together([workdir] * 2, [WHOLE, WHOLE | changes])
    for end, message in zip(ends, (first, own), strict=True):
        assert end.returncode == 2
        assert end.stderr.decode().splitlines()[-1].startswith(f'error: {message}')
    assert not workdir.exists()


ONE_EXAMPLE_LESS = """
from mattingjax.training import inputs
load = inputs.load_examples
def lose(*given, **named):
    examples, _ = load(*given, **named)
    return examples[1:], ['a.png: cannot be read']
inputs.load_examples = lose
"""
NO_STATE = """
from mattingjax.training.saved_states import Saver
Saver.latest_step = None
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ('before', 'what'),
    [(ONE_EXAMPLE_LESS, 'photos that cannot be read'), (NO_STATE, 'the latest state in ')],
)
def test_what_one_process_alone_cannot_see_ends_both(whole, tmp_path, before, what):
    """Each would wait for ever for what only the other one computes."""
    workdir = shutil.copytree(whole, tmp_path / 'run')
    for end in run_together([workdir] * 2, [WHOLE] * 2, ('', before)):
        assert end.returncode == 2
        said = end.stderr.decode().splitlines()[-1]
        assert said.startswith(f'error: {what}')
        assert said.endswith('got something else in process 1 than in process 0')


A_FAULT = """
from mattingjax.training.recorder import Recorder
def fail(self, step, *given):
    raise ZeroDivisionError(f'at step {step}')
Recorder.add_step = fail
"""
NO_SAVER = """
from mattingjax.errors import OutputError
from mattingjax.training.saved_states import Saver
def fail(*_):
    raise OutputError('states: cannot be written')
Saver.__init__ = fail
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ('before', 'status', 'what'),
    [(A_FAULT, 1, 'ZeroDivisionError: at step 1'), (NO_SAVER, 2, 'error: states: cannot be wr')],
)
def test_what_fails_in_one_process_ends_both(tmp_path, before, status, what):
    first, second = run_together([tmp_path / 'run'] * 2, [WHOLE] * 2, ('', before))
    assert second.returncode == status
    assert what in second.stderr.decode()
    assert first.returncode == 2
    assert 'another process of this job has ended' in first.stderr.decode()


@pytest.mark.slow
def test_folders_of_two_hosts_are_told_apart(tmp_path):
    quickly = 'from mattingjax.training import workdir\nworkdir._LATEST_FILE = 0.5\n'
    ends = run_together([tmp_path / 'a', tmp_path / 'b'], [WHOLE] * 2, (quickly, quickly))
    assert [end.returncode for end in ends] == [2, 2]
    assert b'b: expected one folder for all processes of the training' in ends[1].stderr
    assert not (tmp_path / 'b').exists()
