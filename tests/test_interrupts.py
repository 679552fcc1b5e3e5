"""Signals end a script from wherever it is, and leave nothing half-written."""

import itertools
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

if __name__ == '__main__':
    command_line.run(main)
"""
PLACES = {
    'in a new folder': "with new_folder(pathlib.Path('out'), 'a folder', 'a') as folder:\n"
    "        (folder / 'a').write_text('half'); print('ready', flush=True); work()",
    'where it is lost': "try:\n        print('ready', flush=True); time.sleep(60)\n"
    '    except BaseException: work()',
    'while another process writes': 'import multiprocessing, tests.test_interrupts as own\n'
    "    spawn = multiprocessing.get_context('spawn')\n"
    "    with new_folder(pathlib.Path('out'), 'a folder', 'a') as folder:\n"
    '        spawn.Process(target=own.write_on, args=(folder,)).start()\n'
    '        while len(list(folder.iterdir())) < 99: time.sleep(0.01)\n'
    "        print('ready', flush=True); work()",
    'in quiet': 'from mattingjax.quiet import quiet_stderr\n'
    "    with quiet_stderr(): print('ready', flush=True); work()",
}


def write_on(folder):
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)
    for i in itertools.count():
        folder.mkdir(exist_ok=True)
        (folder / str(i)).touch()


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


def test_afterwards_nothing_is_left(tmp_path):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ending_at_once():
            for number, handler in handlers.items():
                assert signal.getsignal(number) != handler
        assert signal.getsignal(signal.SIGTERM) == handlers[signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGINT, handlers[signal.SIGINT])

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
