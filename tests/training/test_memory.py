import platform
import subprocess
import sys

import pytest

from mattingjax.errors import MattingError
from mattingjax.networks import create_model_config
from mattingjax.training import memory
from tests.training.conftest import tiny_config

SCRIPT = """
import resource, sys, threading
from mattingjax.training.memory import keep_freed_memory
import numpy as np

assert sys.argv[1] == 'no' or keep_freed_memory()

def run():  # in a thread, as XLA
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


def test_on_device_the_workers_hold_no_batches(monkeypatch):
    monkeypatch.setattr(memory, '_host_memory', lambda: 8 * 2**30)
    monkeypatch.setattr(memory, '_device_memory', lambda: 2**50)
    config = tiny_config('mmnet', batch_size=4000, data__workers=40)
    network = create_model_config('mmnet', input_size=64)
    with pytest.raises(MattingError, match=r'config.data.workers: .* 40 processes'):
        memory.check_photos(config, network, validation=0)
    config.data.on_device = True
    memory.check_photos(config, network, validation=0)
    config.data.workers = 70  # though each is a process
    with pytest.raises(MattingError, match=r'config.data.workers: .* 70 processes'):
        memory.check_photos(config, network, validation=0)
