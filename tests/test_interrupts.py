"""Signals end a script from wherever it is, and leave nothing half-written."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from mattingjax.interrupts import ending_at_once, removed_afterwards
from tests.conftest import ROOT

SCRIPT = """
import hashlib, pathlib, time
from mattingjax import command_line
from mattingjax.files import new_folder, write_file
from mattingjax.interrupts import writing

def work():  # without the interpreter, as XLA does it
    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)

def main():
    {main}

command_line.run(main)
"""
PLACES = {
    'in a new folder': "with new_folder(pathlib.Path('out'), 'a folder', 'a') as folder:\n"
    "        (folder / 'a').write_text('half'); print('ready', flush=True); work()",
    'where it is lost': "try:\n        print('ready', flush=True); time.sleep(60)\n"
    '    except BaseException: work()',
    'in quiet': 'from mattingjax.quiet import quiet_stderr\n'
    "    with quiet_stderr(): print('ready', flush=True); work()",
}


def start(main, folder):
    return subprocess.Popen(
        [sys.executable, '-c', SCRIPT.format(main=main)],
        cwd=folder, env={'PYTHONPATH': str(ROOT), 'PATH': ''}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('place', PLACES)
def test_it_ends_at_once(tmp_path, place, number):
    with start(PLACES[place], tmp_path) as process:
        assert process.stdout.readline() == 'ready\n'
        begin = time.monotonic()
        process.send_signal(number)
        assert process.wait() == 128 + number
        assert time.monotonic() - begin < 5
        assert process.stderr.read() == 'stopped\n'
    assert not list(tmp_path.iterdir())


def test_what_is_being_written_is_written(tmp_path):
    main = (
        "with writing():\n        pathlib.Path('a').write_text('half')\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(1); pathlib.Path('a').write_text('whole')\n    work()"
    )
    with start(main, tmp_path) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert (tmp_path / 'a').read_text() == 'whole'


def test_afterwards_all_is_as_before(tmp_path):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ending_at_once():
        assert signal.getsignal(signal.SIGINT) != handlers[0]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert signal.set_wakeup_fd(-1) == -1

    def make():
        (tmp_path / 'scratch').mkdir()
        return str(tmp_path / 'scratch')

    with removed_afterwards(make) as scratch:
        (scratch / 'a').write_text('a')
    assert not scratch.exists()


def test_another_thread_hears_none():
    def enter():
        with ending_at_once():
            entered.append(signal.getsignal(signal.SIGINT))

    entered, before = [], signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [before]
