import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, threading
from mattingjax.process.memory import keep_freed_memory
import numpy as np

assert sys.argv[1] == 'no' or keep_freed_memory()

def run():  # in a thread, as XLA and the stages of a video
    for _ in range(4):
        np.ones(6_000_000)

def run_in_thread():
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

run_in_thread()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
run_in_thread()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='of glibc only')
def test_freed_memory_is_used_again():
    faults = {
        keep: int(subprocess.check_output([sys.executable, '-c', SCRIPT, keep], text=True))
        for keep in ('no', 'yes')
    }
    assert faults['yes'] < 0.2 * faults['no'], faults
