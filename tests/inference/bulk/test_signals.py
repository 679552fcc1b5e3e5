"""Signals while Ray runs in the process, and while it ends."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

_SCRIPT = """
import os, signal, sys, threading
from ray._private.node import Node
from mattingjax.inference.bulk.cluster import connected

def work():
    with connected(None, 1, 1):
        os.kill(os.getpid(), signal.SIGTERM)

def kill(*args, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    end(*args, **options)

heard = []
if sys.argv[1] == 'handled':
    signal.signal(signal.SIGTERM, lambda *_: heard.append('SIGTERM'))
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
end, Node._kill_process_type = Node._kill_process_type, kill
if sys.argv[2] == 'main':
    work()
else:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
os.kill(os.getpid(), signal.SIGTERM)
print(len(heard) > 2, set(heard), signal.alarm(0))
"""


@pytest.mark.parametrize('thread', ['main', 'other'])
@pytest.mark.parametrize(
    ('handling', 'said'), [('handled', "True {'SIGTERM'} 0\n"), ('ignored', 'False set() 0\n')]
)
def test_the_handler_of_the_program_stays(thread, handling, said):
    """Those of Ray would end the process with another status, or abort it three seconds later."""
    finished = subprocess.run(
        [sys.executable, '-c', _SCRIPT, handling, thread],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, said, '')
