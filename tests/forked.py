"""Functions and scripts in processes of their own, each forked where everything is imported.

A process costs a few milliseconds instead of the seconds that Python needs to import JAX, and is
watched: time, memory, what it crashes with. `tests/test_processes.py` compares such scripts with
those that Python starts.
"""

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
# No JAX backend is started by them: its threads would not come along.
PRELOADED = (
    'cv2',
    'PIL.Image',
    'ml_collections.config_flags',
    'orbax.checkpoint',
    'mattingjax.checkpoints.averaging',
    'mattingjax.inference.folders',
    'mattingjax.process.command_line',
    'mattingjax.evaluation',
    'mattingjax.importers',
    'mattingjax.pruning',
    'mattingjax.evaluation.temperature',
    'mattingjax.training',
    'exporters.bins.evaluation',
    'tests.forked',
)
# For scripts that export, or run what was exported. TensorFlow changes what other scripts say.
EXPORTING = (*PRELOADED, 'onnx', 'onnxruntime', 'openvino', 'tensorflow', 'tf2onnx')
MAX_BYTES = 4 << 30
# The most seconds of honestly long work, a whole training: this finds hangs, and times nothing.
LONG_SECONDS = 900
_servers: dict[tuple[str, ...], multiprocessing.forkserver.ForkServer] = {}  # by their modules
_PAGE, _TICK = os.sysconf('SC_PAGE_SIZE'), 1 / os.sysconf('SC_CLK_TCK')


class Outcome(NamedTuple):
    """How a process ended.

    Attributes:
      result: What the function returned; None if it did not.
      exit_code: 0, what `sys.exit` was given, 1 for an exception, or minus a signal.
      seconds: How long it took on a processor.
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
    """Calls a module's function in a new process, which is killed if it takes too much.

    It has this process's environment; of JAX's settings, those that the environment holds.

    Args:
      function: What is called, with `arguments`; it and what it returns are pickled.
      timeout: The most seconds of a processor's time, as machines are shared; four times as many by
        the clock.
      max_bytes: The most memory.
      preload: Modules that are imported where processes are forked, and no others.
    """
    context = multiprocessing.get_context('forkserver')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, dict(os.environ), function, arguments))
    with _forking_from(preload):
        start = time.monotonic()
        process.start()
    sender.close()
    seconds, peak, stopped, result = 0.0, 0, '', None
    while not multiprocessing.connection.wait([process.sentinel, receiver], 0.05):
        seconds, resident = _usage(process.pid)
        peak = max(peak, resident)
        if peak > max_bytes:
            stopped = f'over {max_bytes >> 20} MiB'
        elif seconds > timeout or time.monotonic() - start > 4 * timeout:
            stopped = f'over {timeout:g} s'
        if stopped:
            process.kill()
            break
    try:
        result, own_seconds, own_peak = receiver.recv()
        seconds, peak = max(seconds, own_seconds), max(peak, own_peak)
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


@contextlib.contextmanager
def _forking_from(preload: tuple[str, ...]) -> Iterator[None]:
    """Has new processes forked where these modules are imported, and no others.

    Python knows of one fork server; here each list of modules has its own, which is kept.
    """
    server = _servers.get(preload)
    if server is None:
        server = _servers[preload] = multiprocessing.forkserver.ForkServer()
        server.set_forkserver_preload(list(preload))
    with _usual_start():
        server.ensure_running()
    known = multiprocessing.forkserver.connect_to_new_process
    multiprocessing.forkserver.connect_to_new_process = server.connect_to_new_process
    try:
        yield
    finally:
        multiprocessing.forkserver.connect_to_new_process = known


@contextlib.contextmanager
def _usual_start() -> Iterator[None]:
    """In the repository, without JAX's settings: a test may have changed them for its processes.

    TensorFlow, which scripts import quietly, is told to be quiet by its own setting.
    """
    settings = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith('JAX_')}
    try:
        with contextlib.chdir(ROOT), pytest.MonkeyPatch.context() as patch:
            patch.setenv('TF_CPP_MIN_LOG_LEVEL', '3')
            yield
    finally:
        os.environ.update(settings)


def _call(
    sender: Any,
    environment: Mapping[str, str],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if 'jax' in sys.modules:
        _read_jax_settings()
    result = function(*arguments)
    sender.send((result, time.process_time(), _peak_bytes()))


def _read_jax_settings() -> None:
    """What JAX reads of the environment when it is imported."""
    import jax

    for variable, text in os.environ.items():
        name = variable.lower()
        if name in jax.config.values:
            default = jax.config.values[name]
            if isinstance(default, bool):
                value: Any = text.lower() in ('1', 'true')
            else:
                value = text if default is None else type(default)(text)
            jax.config.update(name, value)


def _peak_bytes() -> int:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) << 10
    return 0


def _usage(pid: int | None) -> tuple[float, int]:
    """Seconds of a processor, and bytes of memory, that a process has taken."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return 0.0, 0
    return sum(map(int, fields[11:13])) * _TICK, int(fields[21]) * _PAGE


def run_script(
    script: Path | str,
    *arguments: object,
    cwd: Path = ROOT,
    timeout: float = 60,
    stdin: bytes = b'',
    preload: tuple[str, ...] = PRELOADED,
) -> subprocess.CompletedProcess:
    """Runs a script, or a module of that name, as `python SCRIPT ARGUMENTS` would.

    Returns:
      The finished process, its output as bytes.

    Raises:
      AssertionError: It takes too long, or over 4 GiB.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ('stdin', 'stdout', 'stderr')]
        for path, content in zip(streams, (stdin, b'', b''), strict=True):
            path.write_bytes(content)
        words = [str(argument) for argument in arguments]
        outcome = run_forked(
            _run_script, str(script), words, str(cwd), streams, timeout=timeout, preload=preload
        )
        stdout, stderr = (path.read_bytes() for path in streams[1:])
    assert not outcome.stopped, f'{script} {words}: {outcome.stopped}'
    return subprocess.CompletedProcess([script, *words], outcome.exit_code, stdout, stderr)


def _run_script(script: str, words: list[str], cwd: str, streams: list[Path]) -> None:
    for descriptor, path in enumerate(streams):
        os.dup2(os.open(path, os.O_WRONLY if descriptor else os.O_RDONLY), descriptor)
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
