"""Functions and scripts in processes of their own, each forked where everything is imported.

A process costs a few milliseconds instead of the second or two that Python needs to import JAX,
and is watched: time, memory, what it crashes with.
"""

import logging
import multiprocessing
import multiprocessing.connection
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ROOT

# No JAX backend is started by them: its threads would not come along.
PRELOADED = (
    'cv2',
    'PIL.Image',
    'ml_collections.config_flags',
    'orbax.checkpoint',
    'mattingjax.averaging',
    'mattingjax.batch',
    'mattingjax.command_line',
    'mattingjax.evaluation',
    'mattingjax.importers',
    'mattingjax.pruning',
    'mattingjax.temperature',
    'mattingjax.training',
    'exporters.bin_evaluation',
)
MAX_BYTES = 4 << 30
_PAGE = os.sysconf('SC_PAGE_SIZE')


class Outcome(NamedTuple):
    """How a process ended.

    Attributes:
      result: What the function returned; None if it did not.
      exit_code: 0, what `sys.exit` was given, 1 for an exception, or minus a signal.
      seconds: How long it took.
      peak_bytes: The most memory that was seen; it is looked at twenty times a second.
      stopped: '' or why it was killed.
    """

    result: Any
    exit_code: int
    seconds: float
    peak_bytes: int
    stopped: str


def run_forked(
    function: Callable[..., Any],
    *arguments: Any,
    timeout: float = 60,
    max_bytes: int = MAX_BYTES,
    preload: tuple[str, ...] = PRELOADED,
) -> Outcome:
    """Calls a module's function in a new process, which is killed if it takes too much."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(list(preload))
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, function, arguments))
    start = time.monotonic()
    process.start()
    sender.close()
    peak, stopped, result = 0, '', None
    while not multiprocessing.connection.wait([process.sentinel, receiver], 0.05):
        peak = max(peak, _resident_bytes(process.pid))
        if peak > max_bytes:
            stopped = f'over {max_bytes >> 20} MiB'
        elif time.monotonic() - start > timeout:
            stopped = f'over {timeout:g} s'
        if stopped:
            process.kill()
            break
    seconds = time.monotonic() - start
    try:
        result, own_peak = receiver.recv()
        peak = max(peak, own_peak)
    except EOFError:
        pass  # it was killed, or has crashed
    process.join(5)
    if process.exitcode is None:  # threads of its own keep it
        process.kill()
        process.join()
    outcome = Outcome(result, process.exitcode or 0, seconds, peak, stopped)
    process.close()
    receiver.close()
    return outcome


def _call(sender: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    result = function(*arguments)
    sender.send((result, _peak_bytes()))


def _peak_bytes() -> int:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) << 10
    return 0


def _resident_bytes(pid: int | None) -> int:
    try:
        return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def run_script(
    script: Path | str, *arguments: object, cwd: Path = ROOT, timeout: float = 60
) -> subprocess.CompletedProcess:
    """Runs a script, or a module of that name, as `python SCRIPT ARGUMENTS` would.

    Raises:
      AssertionError: It takes too long, or over 4 GiB.
    """
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder, 'stdout'), Path(folder, 'stderr')
        words = [str(argument) for argument in arguments]
        outcome = run_forked(_run_script, str(script), words, str(cwd), outputs, timeout=timeout)
        stdout, stderr = (path.read_bytes() if path.exists() else b'' for path in outputs)
    assert not outcome.stopped, f'{script} {words}: {outcome.stopped}'
    return subprocess.CompletedProcess([script, *words], outcome.exit_code, stdout, stderr)


def _run_script(script: str, words: list[str], cwd: str, outputs: tuple[Path, Path]) -> None:
    for descriptor, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Python's own streams, as at the start of a process: the fork server's are shared.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, 'w', closefd=False)
    sys.stderr = os.fdopen(2, 'w', buffering=1, errors='backslashreplace', closefd=False)
    logging.getLogger().handlers.clear()  # what an import has put there
    os.chdir(cwd)
    sys.argv = [script, *words]
    if script.endswith('.py'):
        runpy.run_path(script, run_name='__main__')
    else:
        runpy.run_module(script, run_name='__main__', alter_sys=True)
