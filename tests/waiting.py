"""Waiting for what another thread or process does."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Waits until a condition is true; fails after so many seconds, so that no test hangs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f'still not so after {seconds} s'
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether a process goes on; one that has ended, and that nobody has asked for, does not."""
    try:
        os.kill(pid, 0)
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # ended meanwhile, or a system without /proc
        return not Path('/proc/self/stat').exists()
    return state not in 'ZX'
