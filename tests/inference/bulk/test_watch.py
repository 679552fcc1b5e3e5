"""What is done when Ray's own processes end, which programs stand for here."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip('ray', reason='the extra bulk is not installed')

import ray

from mattingjax.inference.bulk.watch import ending_with_ray
from mattingjax.process.interrupts import ending_at_once
from tests.forked import run_forked
from tests.waiting import is_alive, wait_until

SLEEP = ['sleep', '60']


def start(name, *command):
    process = subprocess.Popen(command or SLEEP)
    return {name: [SimpleNamespace(process=process)]}


def wait_and_lose(name, number, folder):
    """Ends a program of Ray, or this process by a signal, within the block."""
    os.dup2(os.open(folder / 'said', os.O_WRONLY | os.O_CREAT), 2)
    script = f'{sys.executable} -c "import time; time.sleep(60)" & wait'
    programs = start('raylet', 'sh', '-c', script) | start('gcs_server') | start('log_monitor')
    processes = {name: found[0].process for name, found in programs.items()}
    ray._private.worker._global_node = SimpleNamespace(all_processes=programs)
    pid = processes['raylet'].pid
    children = Path(f'/proc/{pid}/task/{pid}/children')
    wait_until(children.read_text)  # the shell has started its own
    pids = [*children.read_text().split(), *(str(process.pid) for process in processes.values())]
    (folder / 'pids').write_text(' '.join(pids))
    with ending_at_once(), ending_with_ray(own_process=True):
        if name is None:
            os.kill(os.getpid(), number)
        else:
            processes[name].send_signal(number)
        time.sleep(20)


@pytest.mark.skipif(not os.path.exists('/proc/self/task'), reason='needs /proc')
@pytest.mark.parametrize(
    ('name', 'number', 'status', 'said'),
    [
        ('gcs_server', signal.SIGKILL, 2, 'error: a process of Ray, gcs_server, has ended; '),
        ('raylet', signal.SIGTERM, 2, 'error: a process of Ray, raylet, has ended; '),
        (None, signal.SIGTERM, 143, 'stopped'),
    ],
)
def test_all_of_rays_processes_end(tmp_path, name, number, status, said):
    outcome = run_forked(wait_and_lose, name, number, tmp_path, timeout=60)
    assert outcome.exit_code == status
    assert (tmp_path / 'said').read_text().startswith(said)
    pids = [int(pid) for pid in (tmp_path / 'pids').read_text().split()]
    assert len(pids) == 4
    left = [pid for pid in pids if name != 'raylet' or pid != pids[0]]  # an orphan sees to itself
    wait_until(lambda: not any(map(is_alive, left)), seconds=30)
    if is_alive(pids[0]):
        os.kill(pids[0], signal.SIGKILL)


def test_what_goes_on_is_left_alone(monkeypatch):
    programs = start('raylet') | start('log_monitor', 'true')  # which Ray does without
    monkeypatch.setattr(
        ray._private.worker, '_global_node', SimpleNamespace(all_processes=programs)
    )
    with ending_with_ray(own_process=True):
        time.sleep(0.3)
    assert programs['raylet'][0].process.poll() is None
    programs['raylet'][0].process.kill()
    for found in programs.values():
        found[0].process.wait()
