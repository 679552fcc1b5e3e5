"""A folder in another's place: never without one, and nothing is left of killed processes."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from mattingjax.errors import OutputError
from mattingjax.process import replacing
from mattingjax.process.files import new_folder
from tests.conftest import ROOT

# Writes an older folder and is killed while it makes the next, at `place`.
KILLED = """
import os, pathlib, signal, sys
from mattingjax.process import files, replacing
from mattingjax.process.files import new_folder

def write(text):
    with new_folder(pathlib.Path(sys.argv[1]), 'a result', 'mark', overwrite=True) as scratch:
        (scratch / 'mark').write_text(text)
        if text == 'new' and {place!r} == 'within':
            os.kill(os.getpid(), signal.SIGKILL)

write('old')
if {place!r} == 'between':
    replacing._exchange = lambda *_: False  # as on file systems that cannot
    rename = pathlib.Path.rename
    def rename_and_die(self, target):
        rename(self, target)
        os.kill(os.getpid(), signal.SIGKILL)
    pathlib.Path.rename = rename_and_die
write('new')
"""


def run_killed(path, place):
    process = subprocess.run(
        [sys.executable, '-c', KILLED.format(place=place), path],
        env={'PYTHONPATH': str(ROOT)}, capture_output=True,
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


def write(path, text, overwrite=True):
    with new_folder(path, 'a result', 'mark', overwrite=overwrite) as scratch:
        (scratch / 'mark').write_text(text)


@pytest.mark.parametrize('name', ['result', 'x' * 255])
def test_what_a_killed_process_left_is_removed(tmp_path, name):
    path, others = tmp_path / name, ['.result.backup', '.result.writing.x', '.other.old.abcdefgh']
    for other in others:
        (tmp_path / other).mkdir()
    run_killed(path, 'within')
    assert (path / 'mark').read_text() == 'old'
    assert len(os.listdir(tmp_path)) == 5
    write(path, 'new')
    assert (path / 'mark').read_text() == 'new'
    assert sorted(os.listdir(tmp_path)) == sorted([name, *others])


def test_an_older_folder_that_was_put_aside_is_put_back(tmp_path):
    path = tmp_path / 'result'
    run_killed(path, 'between')
    assert not path.exists()
    with pytest.raises(ZeroDivisionError), new_folder(path, 'a result', 'mark', overwrite=True):
        1 / 0  # noqa: B018
    assert (path / 'mark').read_text() == 'old'
    assert os.listdir(tmp_path) == ['result']


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere two names are changed')
def test_there_is_always_one(tmp_path):
    """Someone who looks all the time never finds none while it is replaced."""
    path, found, is_over = tmp_path / 'result', [], threading.Event()
    write(path, '0')

    def look():
        while not is_over.is_set():
            found.append(path.is_dir())

    thread = threading.Thread(target=look)
    thread.start()
    for i in range(100):
        write(path, str(i))
    is_over.set()
    thread.join()
    assert found
    assert all(found)


def test_where_names_cannot_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr(replacing, '_exchange', lambda *_: False)
    for text in ('old', 'new'):
        write(tmp_path / 'result', text)
    assert (tmp_path / 'result' / 'mark').read_text() == 'new'
    assert os.listdir(tmp_path) == ['result']


def test_two_that_make_the_same_folder(tmp_path):
    """The slower one is refused if it may not replace the other; if it may, it is there whole."""
    path = tmp_path / 'result'

    def make_both(overwrite):
        with new_folder(path, 'a result', 'mark', overwrite=overwrite) as slow:
            (slow / 'mark').write_text('slow')
            with new_folder(path, 'a result', 'mark', overwrite=overwrite) as quick:
                assert slow.is_dir()  # it is in use: nobody takes it for a killed one's
                (quick / 'mark').write_text('quick')
                (quick / 'more').touch()

    with pytest.raises(OutputError, match='result: a result lies there already'):
        make_both(overwrite=False)
    assert sorted(os.listdir(path)) == ['mark', 'more']
    make_both(overwrite=True)
    assert os.listdir(path) == ['mark']
    assert (path / 'mark').read_text() == 'slow'
    assert os.listdir(tmp_path) == ['result']
