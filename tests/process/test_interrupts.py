"""Signals end a script from wherever it is, and leave nothing half-written."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mattingjax.process.interrupts import ending_at_once, removed_afterwards, run_program
from tests.conftest import ROOT
from tests.waiting import is_alive, wait_until

SCRIPT = """
import hashlib, pathlib, time
from mattingjax.process import command_line
from mattingjax.process.files import new_folder, write_file
from mattingjax.process.interrupts import run_program, writing

def work():  # without the interpreter, as XLA does it
    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)

def main():
    {main}

if __name__ == '__main__':
    command_line.run()
"""
PLACES = {
    'in a new folder': "with new_folder(pathlib.Path('out'), 'a folder', 'a') as folder:\n"
    "        (folder / 'a').write_text('half'); print('ready', flush=True); work()",
    'where it is lost': "try:\n        print('ready', flush=True); time.sleep(60)\n"
    '    except BaseException: work()',
    'while another process writes': 'import multiprocessing, tests.process.test_interrupts as own\n'
    "    spawn = multiprocessing.get_context('spawn')\n"
    "    with new_folder(pathlib.Path('out'), 'a folder', 'a') as folder:\n"
    '        spawn.Process(target=own.write_on, args=(folder,)).start()\n'
    '        while len(list(folder.iterdir())) < 99: time.sleep(0.01)\n'
    "        print('ready', flush=True); work()",
    'in quiet': 'from mattingjax.process.packages import quiet_stderr\n'
    "    with quiet_stderr(): print('ready', flush=True); work()",
}


def write_on(folder):
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)
    for i in itertools.count():
        folder.mkdir(exist_ok=True)
        (folder / str(i)).touch()


def start(main, folder, **options):
    return start_process(['-c', SCRIPT.format(main=main)], folder, **options)


def start_process(arguments, folder, before=(), **options):
    return subprocess.Popen(
        [*before, sys.executable, *arguments],
        cwd=folder, env={'PYTHONPATH': str(ROOT), 'PATH': ''}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
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


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_workers_that_start_say_nothing(tmp_path, number):
    main = (
        'import multiprocessing, tests.process.test_interrupts as own\n'
        "    spawn = multiprocessing.get_context('spawn')\n"
        "    spawn.Process(target=own.write_on, args=(pathlib.Path('out'),)).start()\n"
        "    print('ready', flush=True); work()"
    )
    with start(main, tmp_path, start_new_session=True) as process:
        assert process.stdout.readline() == 'ready\n'
        time.sleep(0.3)  # it imports
        os.killpg(process.pid, number)  # as a terminal does it
        assert process.wait() == 128 + number
        assert process.stderr.read() == 'stopped\n'


def test_a_config_file_is_interrupted(tmp_path):
    (tmp_path / 'slow.py').write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)")
    arguments = [str(ROOT / 'scripts' / 'train.py'), '--workdir=run', '--config=slow.py']
    with start_process(arguments, tmp_path) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == 'stopped\n'
    assert not (tmp_path / 'run').exists()


def test_what_is_ignored_stays_so(tmp_path):
    main = "print('ready', flush=True)\n    while True: time.sleep(0.1)"
    ignoring = ['/bin/sh', '-c', 'trap "" INT; exec "$@"', 'sh']
    with start(main, tmp_path, before=ignoring) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_other_programs_end_too(tmp_path, number):
    script = '/bin/sleep 60 & echo $! > pid; wait'
    with start(f"run_program(['/bin/sh', '-c', {script!r}])", tmp_path) as process:
        wait_until(lambda: read(tmp_path / 'pid').endswith('\n'))
        pid = int(read(tmp_path / 'pid'))
        process.send_signal(number)
        assert process.wait() == 128 + number
    wait_until(lambda: not is_alive(pid), seconds=30)


def read(path):
    try:
        return path.read_text()
    except OSError:
        return ''


def test_a_program_tells_its_status_and_words():
    done = run_program([sys.executable, '-c', "import sys; print('out'); sys.exit('err')"])
    assert (done.returncode, sorted(done.stdout.split())) == (1, ['err', 'out'])


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
