"""Ctrl-C and SIGTERM: how a process ends from wherever it is and leaves nothing half-written.

Python handles a signal when the main thread next runs Python code: XLA may compile for a minute
before that, and a KeyboardInterrupt raised within a callback of a library is lost. So another
thread receives signals too, and ends the process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.resource_tracker
import multiprocessing.util
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mattingjax.process.removal import remove, remove_for_good

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_LONGEST_WRITE = 60.0  # seconds that a signal waits for a file that is being written
_LONGEST_CLEANING = 1.0  # seconds that other libraries may take at the end

_writing = threading.RLock()
_scratch: set[Path] = set()
_programs: set[subprocess.Popen] = set()
_standard_error: int | None = None


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Within it, files are written that must be whole before the process may end."""
    with _writing:
        yield


@contextlib.contextmanager
def removed_afterwards(make: Callable[[], str]) -> Iterator[Path]:
    """Yields a new file or folder, which is removed afterwards, even if the process ends within.

    Args:
      make: Makes the file or folder and returns its path.
    """
    with _writing:
        scratch = Path(make())
        _scratch.add(scratch)
    try:
        yield scratch
    except Exception:
        remove_for_good(scratch)
        raise
    finally:
        remove(scratch)
        with _writing:
            _scratch.discard(scratch)


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Runs another program, which ends with the block or this process, and all that it starts.

    Args:
      command: The program and its arguments.

    Yields:
      The program, whose output on both streams is `stdout`.
    """
    with _writing:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            start_new_session=True,  # so that what it starts can be ended with it
        )
        _programs.add(process)
    try:
        yield process
    finally:
        if process.poll() is None:
            _kill(process)
            process.wait()
        with _writing:
            _programs.discard(process)


@contextlib.contextmanager
def ended_too(programs: Iterable[subprocess.Popen]) -> Iterator[None]:
    """Within it, programs that a library has started end when this process is ended."""
    programs = set(programs)
    with _writing:
        _programs.update(programs)
    try:
        yield
    finally:
        with _writing:
            _programs.difference_update(programs)


def run_program(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs another program to its end; it ends earlier when this process does.

    Args:
      command: The program and its arguments.

    Returns:
      Its exit status, and its output on both streams together as `stdout`.
    """
    with running(command) as process:
        said, _ = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, said)


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Within it, Ctrl-C and SIGTERM end the process with 128 plus the signal's number.

    Only Python's own shutdown should follow, in which Ctrl-C ends the process silently. Only the
    main thread can handle signals; in another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def wait_for_the_end(number: int, _: object) -> None:
        if not _writing._is_owned():  # type: ignore[attr-defined]
            threading.Event().wait(_LONGEST_WRITE + 2 * _LONGEST_CLEANING)

    try:
        hearing = listening(lambda number: leave(128 + number, lambda: 'stopped'))
        with hearing, handling(wait_for_the_end), _starting_deaf():
            yield
    finally:
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def handling(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Within it, a function handles both signals; for the main thread alone.

    Signals that are ignored stay ignored: shells let background jobs ignore Ctrl-C.

    Args:
      handler: Takes the number of the signal and the interrupted stack frame.
    """
    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    earlier = {number: signal.signal(number, handler) for number in heard}
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, previous in earlier.items():
            signal.signal(number, previous)


@contextlib.contextmanager
def _starting_deaf() -> Iterator[None]:
    """Within it, neither new processes nor the main thread receive Ctrl-C.

    A terminal sends it to all of them, and each would report it in its own way before this process
    ends them. Another thread has to receive it, by `listening`.
    """
    # Starting this process of multiprocessing's unblocks the signal in the main thread.
    multiprocessing.resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def listening(hear: Callable[[int], None]) -> Iterator[None]:
    """Within it, another thread calls a function for both signals, even while the main one is busy.

    Args:
      hear: Takes the number of the signal.
    """
    _remember_standard_error()
    reader, writer = socket.socketpair()

    def listen() -> None:
        while number := reader.recv(1)[0]:
            if number in SIGNALS:
                hear(number)

    with reader, writer:
        writer.setblocking(False)
        earlier = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(earlier)
            writer.send(bytes(1))
            thread.join()


def leave(status: int, describe: Callable[[], str]) -> None:
    """Ends the process, from whichever thread, once the file that is being written is whole.

    Args:
      status: The exit status; after a signal, 128 and its number.
      describe: Returns the last line for standard error; called when no file is being written.
    """
    try:
        _writing.acquire(timeout=_LONGEST_WRITE)
        _say_last(describe())
        children = multiprocessing.active_children()
        for child in children:
            child.kill()
        for program in list(_programs):
            _kill(program)
        for child in children:
            child.join(_LONGEST_CLEANING)  # until then it may write to what is removed next
        _remove_all()
        # The main thread may hold a lock that this waits for, such as standard output's.
        cleaning = threading.Thread(target=_clean_up, daemon=True)
        cleaning.start()
        cleaning.join(_LONGEST_CLEANING)
        _remove_all()  # it may have gone on writing until now
    finally:
        os._exit(status)


def _remove_all() -> None:
    for scratch in list(_scratch):
        remove(scratch)


def _kill(program: subprocess.Popen) -> None:
    for process in _family(program.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(program.pid) == program.pid:
            os.killpg(program.pid, signal.SIGKILL)


def _family(process: int) -> list[int]:
    """A process and, where the system tells, those that it has started, and so on."""
    found = [process]
    with contextlib.suppress(OSError):
        for path in Path(f'/proc/{process}/task').glob('*/children'):
            for child in path.read_text().split():
                found += _family(int(child))
    return found


def _remember_standard_error() -> None:
    """Keeps a copy of standard error, which `quiet_stderr` redirects for a while."""
    global _standard_error
    if _standard_error is None:
        with contextlib.suppress(OSError):  # it is closed
            _standard_error = os.dup(2)


def _say_last(text: str) -> None:
    """Writes a line past Python's own buffers and locks, which the main thread may hold.

    Standard error is closed after it: other threads would complain as their files are removed.
    """
    if _standard_error is None:
        return
    begin = '\n' if os.isatty(_standard_error) else ''  # a progress bar may stand in the line
    with contextlib.suppress(OSError):
        os.write(_standard_error, f'{begin}{text}\n'.encode())
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _clean_up() -> None:
    multiprocessing.util._run_finalizers()  # type: ignore[attr-defined]  # semaphores
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
