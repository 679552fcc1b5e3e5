"""What killed processes leave: invisible, removed by the next one, and never a living one's."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from mattingjax.process import files, scratch
from mattingjax.process.locks import held
from mattingjax.process.scratch import sweep
from tests.forked import run_forked

pytest.importorskip('fcntl')
KILL = 'os.kill(os.getpid(), signal.SIGKILL)'
PLACES = {
    'a file': f"with files.new_file(folder / 'a.png') as half: half.write_text('1'); {KILL}",
    'a temporary folder': f'with scratch.scratch_folder() as half: {KILL}',
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """As if hours had gone by."""
    monkeypatch.setattr(scratch, '_ABANDONED', -1.0)
    sweep.cache_clear()
    yield
    sweep.cache_clear()


def die(folder, work):
    assert run_forked(execute, str(folder), work).exit_code == -signal.SIGKILL


def execute(folder, work):
    tempfile.tempdir = folder
    exec(work, {**globals(), 'folder': Path(folder)})


@pytest.mark.parametrize('place', PLACES)
def test_what_a_killed_process_left_is_gone_after_the_next(tmp_path, monkeypatch, place):
    for _ in range(2):
        die(tmp_path, PLACES[place])
    left = os.listdir(tmp_path)
    assert left
    assert all(name.startswith('.writing.') for name in left)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    if place == 'a temporary folder':
        with scratch.scratch_folder():
            pass
    else:
        files.write_file(tmp_path / 'a.png', b'')
    assert os.listdir(tmp_path) == ([] if place == 'a temporary folder' else ['a.png'])


def test_what_is_being_written_stays(tmp_path):
    with (
        files.new_file(tmp_path / 'a.png') as file,
        scratch.scratch_folder_in(tmp_path) as folder,
    ):
        sweep.cache_clear()
        files.write_file(tmp_path / 'c.png', b'')
        assert file.exists()
        assert folder.exists()
    assert sorted(os.listdir(tmp_path)) == ['a.png', 'c.png']


def test_what_was_touched_a_moment_ago_stays(tmp_path, monkeypatch):
    """On file systems whose locks other machines do not see."""
    monkeypatch.setattr(scratch, '_ABANDONED', 600.0)
    die(tmp_path, PLACES['a file'])
    files.write_file(tmp_path / 'c.png', b'')
    assert len(os.listdir(tmp_path)) == 2


def test_what_others_own_stays(tmp_path):
    names = ('.writing.mine', '.a.settings', 'a.original', '.writing', 'mattingjax.abcdefgh')
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / '.writing.abcdefgh').symlink_to('elsewhere')
    sweep(tmp_path)
    assert {*os.listdir(tmp_path)} == {*names, 'elsewhere', '.writing.abcdefgh'}


def test_what_is_given_can_be_locked_by_others():
    with scratch.scratch_folder() as folder, held(folder) as is_free:
        assert is_free
