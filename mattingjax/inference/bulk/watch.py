"""What is done when Ray's own processes end before the work does."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from mattingjax.process.command_line import error_line
from mattingjax.process.interrupts import ended_too, leave

_NEEDED = ('raylet', 'gcs_server')
_LOOK = 0.05  # seconds; Ray notices after some, and then ends the process


@contextlib.contextmanager
def ending_with_ray(own_process: bool) -> Iterator[None]:
    """Within it, the process ends in one line where Ray's own processes have, and they with it.

    Ray itself would end it without a word, or wait for a minute.

    Args:
      own_process: Whether the process does nothing else; if not, it is left to Ray.
    """
    import ray

    node = ray._private.worker._global_node
    started: dict[str, Any] = node.all_processes if node and own_process else {}
    programs: dict[subprocess.Popen, str] = {
        info.process: name for name, found in started.items() for info in found
    }
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            for program, name in programs.items():
                if name in _NEEDED and program.poll() is not None and not over.is_set():
                    leave(2, functools.partial(_describe, name))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        with ended_too(programs):
            yield
    finally:
        over.set()
        thread.join()


def _describe(name: str) -> str:
    return error_line(f'a process of Ray, {name}, has ended; the same command goes on')
