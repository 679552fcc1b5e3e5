"""A full disk, damaged files and a folder that is gone: one line, and the same command goes on.

A limit on the size of files stands for a full disk: it fails every write beyond it, of every
library, and needs no rights.
"""

import contextlib
import errno
import os
import resource
import shutil
from pathlib import Path

import pytest

from mattingjax.errors import CheckpointError, MattingError, OutputError
from mattingjax.process.checksums import SUMS_FILE
from mattingjax.training import loop, start, train, workdir
from mattingjax.training.recorder import Table
from mattingjax.training.tensorboard import TensorBoard
from tests.privileges import obeying_permissions
from tests.training.conftest import (
    assert_as_if_nothing_had_happened,
    find_states,
    run_training,
    tiny_config,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures('quickly_compiled')

SETTINGS = {
    'steps': 9, 'batch_size': 2, 'save_every_steps': 3, 'keep': 2, 'validation__every_steps': 4,
    'validation__count': 2, 'tensorboard': True,
}  # fmt: skip


@pytest.fixture(scope='module')
def undisturbed(quickly_compiled, tmp_path_factory):
    """The folder of a training to which nothing happened."""
    folder = tmp_path_factory.mktemp('undisturbed') / 'run'
    assert train(tiny_config(**SETTINGS), folder).is_finished
    return folder


@contextlib.contextmanager
def at_a_call(owner, name, condition, act):
    """Does something just before the first call of a function for which a condition is true."""
    original, done = getattr(owner, name), []

    def call(*args, **kwargs):
        if not done and condition(*args):
            done.append(act())
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, call)
        yield
    assert done


@contextlib.contextmanager
def disk_full_at(owner, name, condition, folder, states):
    """Lets no file grow beyond a hundred bytes from then on, once these states are written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def act():
        # Orbax writes in the background: on a busy machine it would still be at the last state.
        wait_until(lambda: find_states(folder) == states)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))

    try:
        with at_a_call(owner, name, condition, act):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ('owner', 'name', 'condition', 'file', 'states'),
    [
        (start, 'claim', lambda *_: True, 'config.json', []),
        (loop, 'save_checkpoint', lambda path, *_: path.name == 'last', 'last', []),
        (Table, 'add', lambda _, row: row['step'] == 7, 'metrics.csv', [3, 6]),
        pytest.param(
            TensorBoard,
            'add_numbers',
            lambda _, step, __: step == 5,
            'tensorboard',
            [3],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_full_disk(undisturbed, tmp_path, capfd, owner, name, condition, file, states):
    folder = tmp_path / 'run'
    message = rf'run/{file}: cannot be written \(File too large\)$'
    full = disk_full_at(owner, name, condition, folder, states)
    with full, pytest.raises(MattingError, match=message):
        train(tiny_config(**SETTINGS), folder)
    assert 'Traceback' not in capfd.readouterr().err
    assert find_states(folder) == states
    assert train(tiny_config(**SETTINGS), folder).is_finished
    assert_as_if_nothing_had_happened(folder, undisturbed)


def test_a_state_on_a_full_disk(undisturbed, tmp_path):
    """Orbax writes it in the background, and logs a traceback of what fails there."""
    folder = tmp_path / 'run'
    full = (
        'import resource\n'
        'from mattingjax.training.saved_states import Saver\n'
        'save = Saver.save\n'
        'def save_to_a_full_disk(self, step, *given):\n'
        '    if step == 6:\n'
        '        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n'
        '    save(self, step, *given)\n'
        'Saver.save = save_to_a_full_disk\n'
    )
    process = run_training(folder, before=full, **SETTINGS | {'tensorboard': False})
    assert process.returncode == 2, process.stderr.decode()
    *_, said = process.stderr.decode().splitlines()
    assert said == f'error: {folder}/states: cannot be written (File too large)'
    assert b'Traceback' not in process.stderr
    assert find_states(folder) == [3]
    assert train(tiny_config(**SETTINGS), folder).is_finished
    assert_as_if_nothing_had_happened(folder, undisturbed)


@pytest.mark.parametrize('place', ['.', 'states'])
def test_a_folder_that_may_not_be_written_to_any_more(undisturbed, tmp_path, place):
    folder = tmp_path / 'run'
    with obeying_permissions():  # or it is skipped
        pass
    forbid = (
        'import pathlib\n'
        'from mattingjax.training.recorder import Recorder\n'
        'from tests.privileges import obeying_permissions\n'
        'obeying = obeying_permissions()\n'  # until the process ends
        'obeying.__enter__()\n'
        'add_step = Recorder.add_step\n'
        'def add_step_and_forbid(self, step, *given):\n'
        '    if step == 5:\n'
        f'        pathlib.Path({str(folder / place)!r}).chmod(0o555)\n'
        '    add_step(self, step, *given)\n'
        'Recorder.add_step = add_step_and_forbid\n'
    )
    process = run_training(folder, before=forbid, **SETTINGS | {'tensorboard': False})
    (folder / place).chmod(0o755)
    assert process.returncode == 2, process.stderr.decode()
    *_, said = process.stderr.decode().splitlines()
    assert said.startswith(f'error: {folder}/')
    assert 'cannot be written (' in said
    assert b'Traceback' not in process.stderr
    assert train(tiny_config(**SETTINGS), folder).is_finished
    assert_as_if_nothing_had_happened(folder, undisturbed)


def test_damaged_states(undisturbed, tmp_path):
    """A damaged latest state is told with its file; without it, it goes on from the one before."""
    folder = shutil.copytree(undisturbed, tmp_path / 'run')
    assert find_states(folder) == [6, 9]
    state = folder / 'states' / '9'
    for name in sorted(line[66:] for line in (state / SUMS_FILE).read_text().splitlines())[::7]:
        content = (state / name).read_bytes()
        damaged = content[:-1] + bytes([content[-1] ^ 1]) if content else b'1'
        (state / name).write_bytes(damaged)
        message = (
            rf'states/9: damaged: {name}: expected SHA-256 \w{{12}}…, found \w{{12}}…; '
            'remove this folder to go on from step 6'
        )
        with pytest.raises(CheckpointError, match=message):
            train(tiny_config(**SETTINGS), folder)
        (state / name).write_bytes(content)
    shutil.rmtree(state)
    (folder / 'states' / '6' / SUMS_FILE).unlink()  # as if an earlier version had written it
    assert train(tiny_config(**SETTINGS), folder).is_finished
    assert_as_if_nothing_had_happened(folder, undisturbed)


def test_a_folder_that_is_gone(tmp_path):
    folder = tmp_path / 'run'

    def at_step_5(_, row):
        return row['step'] == 5

    def remove():
        wait_until(lambda: find_states(folder) == [3])  # or they were made anew meanwhile
        shutil.rmtree(folder)

    gone = at_a_call(Table, 'add', at_step_5, remove)
    message = r'run/metrics.csv: cannot be written \(No such file'
    with gone, pytest.raises(OutputError, match=message):
        train(tiny_config(**SETTINGS), folder)


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    """As on a disk that is mounted to be read: root finds out only when it writes."""

    def refuse(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, 'open', refuse)
    message = r'run: cannot be written \(Read-only file system\)'
    with pytest.raises(OutputError, match=message), workdir.locked(tmp_path / 'run'):
        pass
