"""The processes of one job on several hosts, which JAX's distributed runtime has joined."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import time
import traceback
from collections.abc import Iterator

import numpy as np

from mattingjax.errors import MattingError, error_line
from mattingjax.process.command_line import explain
from mattingjax.process.interrupts import leave
from mattingjax.process.progress import say

AUTO = 'auto'
_LONGEST_WAIT = 300  # seconds for which processes wait for each other at the start, as JAX does
_ADDRESS = re.compile(r'(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(\d{1,5})')
# What collectives and the runtime of several hosts say when another process is gone.
_LOST = re.compile(
    r'gloo|nccl|connection|socket closed|coordination|barrier|heartbeat|unavailable|'
    r'deadline_exceeded',
    re.I,
)


def join(
    coordinator: str | None, processes: int | None = None, process_id: int | None = None
) -> None:
    """Joins this process with the others of its job; called before JAX is used in any other way.

    Args:
      coordinator: Address of the first process, HOST:PORT; 'auto' has JAX find it, and the other
        two, from Slurm, Open MPI, Kubernetes or a TPU's own metadata; None joins nothing.
      processes: The number of processes, needed with `process_id`. If None, JAX finds it, as for
        'auto'.
      process_id: The number of this process, from 0; 0 is the coordinator. If None, JAX finds it.

    Raises:
      MattingError: An argument is wrong or missing, nothing is found, the address cannot be used,
        or the first process does not answer for five minutes. If another process is missing for as
        long, JAX ends this one with a message of its own.
    """
    if coordinator is None:
        if processes is not None or process_id is not None:
            raise MattingError(
                'coordinator: needed with processes and process_id: HOST:PORT of the first '
                f'process, or {AUTO}'
            )
        return
    _check_numbers(processes, process_id)
    if process_id is not None and processes is None:
        # The first process would be waited for before JAX says so.
        raise MattingError('processes: needed with process_id: the number of all processes')
    address = None
    if coordinator != AUTO:
        address = coordinator
        _check_address(coordinator, process_id)
    import jax

    if address is not None and process_id == 0 and processes != 1:
        say(f'waiting for the other processes at {coordinator} ...')
    # JAX would take SIGTERM for itself, by which a training is asked to save and to stop.
    if 'jax_enable_preemption_service' in jax.config.values:
        jax.config.update('jax_enable_preemption_service', False)
    try:
        jax.distributed.initialize(
            address, processes, process_id, initialization_timeout=_LONGEST_WAIT
        )
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        raise MattingError(
            f'coordinator: {coordinator}: expected processes and process_id, or a job of Slurm, '
            f'Open MPI, Kubernetes or a TPU that says them ({error})'
        ) from error
    if is_first():
        say(f'{count()} processes, {jax.device_count()} devices')


def _check_numbers(processes: int | None, process_id: int | None) -> None:
    if processes is not None and processes < 1:
        raise MattingError(f'processes: expected at least 1, got {processes}')
    if process_id is not None and not 0 <= process_id < (processes or 2**31):
        below = f' and below {processes}, the number of processes' if processes else ''
        raise MattingError(f'process_id: expected at least 0{below}, got {process_id}')


def _check_address(coordinator: str, process_id: int | None) -> None:
    """Raises MattingError where JAX would end the process: it does not return such errors."""
    match = _ADDRESS.fullmatch(coordinator)
    if match is None or not 0 < int(match[2]) < 2**16:
        raise MattingError(
            f'coordinator: expected HOST:PORT of the first process, or {AUTO}, got {coordinator!r}'
        )
    host, port = match[1].strip('[]'), int(match[2])
    try:
        socket.getaddrinfo(host, port)
    except OSError as error:
        raise MattingError(f'coordinator: {coordinator}: {error.strerror or error}') from error
    if process_id == 0:
        _check_free(coordinator, port)
    elif process_id is not None:
        _await(coordinator, host, port)


def _check_free(coordinator: str, port: int) -> None:
    """Raises MattingError if this host has no such port left."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(('', port))
        except OSError as error:
            raise MattingError(
                f'coordinator: {coordinator}: this process, the first, cannot listen there '
                f'({error.strerror})'
            ) from error


def _await(coordinator: str, host: str, port: int) -> None:
    """Waits until the first process listens there."""
    end, problem, is_told = time.monotonic() + _LONGEST_WAIT, '', False
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, port), timeout=5):
                return
        except OSError as error:
            problem = error.strerror or str(error)
        if not is_told:
            say(f'waiting for the first process at {coordinator} ...')
            is_told = True
        time.sleep(0.2)
    raise MattingError(
        f'coordinator: {coordinator}: the first process does not answer within {_LONGEST_WAIT} s '
        f'({problem})'
    )


def count() -> int:
    """The number of processes of this job; 1 if nothing was joined."""
    import jax

    # Asked for its number, JAX would start its backend, and fail where there is none.
    return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
    """The number of this process, from 0."""
    import jax

    return jax.process_index() if jax.distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes for all."""
    return index() == 0


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Waits for all processes at the end of the block, in which none may wait for another.

    Raises:
      MattingError: Another process has raised an error in its block, and this one has not.
    """
    if count() == 1:
        yield
        return
    try:
        yield
    except BaseException:
        _gather(np.ones(1, np.uint8))
        raise
    failed = np.flatnonzero(_gather(np.zeros(1, np.uint8)))
    if failed.size:
        raise MattingError(f'process {failed[0]}: failed, as its own output says')


def check_same(what: str, text: str) -> None:
    """Waits for all processes, and compares their texts.

    Args:
      what: What the text says, for the error.
      text: The text of this process.

    Raises:
      MattingError: Another process has another text.
    """
    if count() == 1:
        return
    digests = _gather(np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8))
    others = np.flatnonzero((digests != digests[0]).any(axis=1))
    if others.size:
        raise MattingError(
            f'{what}: expected the same in all processes, got something else in process '
            f'{others[0]} than in process 0'
        )


def _gather(values: np.ndarray) -> np.ndarray:
    """The values of all processes, [processes, ...]."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values))


def explain_lost(error: BaseException) -> str | None:
    """A line about an error that another process's end has caused; None about any other.

    It may be the cause of an error of our own, such as of a state that could not be written.
    """
    cause: BaseException | None = error
    while cause is not None and not _speaks_of_loss(cause):
        cause = cause.__cause__
    if cause is None or count() == 1:
        return None
    return (
        'another process of this job has ended or cannot be reached; started again, all of them '
        f'go on from the latest state ({type(cause).__name__}: {" ".join(str(cause).split()):.120})'
    )


def _speaks_of_loss(error: BaseException) -> bool:
    # Errors of our own and about files have names in them, which may be any.
    has_names = isinstance(error, MattingError) or getattr(error, 'filename', None) is not None
    return not has_names and _LOST.search(str(error)) is not None


@contextlib.contextmanager
def leaving_the_lost(*, own_process: bool, at_any_error: bool = False) -> Iterator[None]:
    """Turns what the end of another process has caused into a MattingError.

    JAX and Orbax would wait for the other one at the end of this process, and then abort it.

    Args:
      own_process: Whether nothing else runs in this process, so that it may end at once instead,
        with one line and exit status 2, or the traceback of a fault of its own and 1.
      at_any_error: Whether, of several processes, this one also ends at once at an error of its
        own, of which the others do not know.

    Raises:
      MattingError: Another process is lost.
    """
    try:
        yield
    except Exception as error:
        lost = explain_lost(error)
        if own_process and (lost is not None or (at_any_error and count() > 1)):
            message = lost or explain(error)
            if message is None:  # a fault of our own
                trace = ''.join(traceback.format_exception(error)).rstrip()
                leave(1, lambda: trace)
            else:
                line = error_line(message)
                leave(2, lambda: line)
        if lost is None:
            raise
        raise MattingError(lost) from error
