"""Ray: a cluster of this machine alone or one that runs already, and a pool of workers in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mattingjax.errors import MattingError, unwrapped
from mattingjax.inference.bulk.plan import Plan, read_group
from mattingjax.inference.bulk.store import Store
from mattingjax.inference.bulk.table import Row, to_rows
from mattingjax.inference.bulk.worker import Task, Worker
from mattingjax.process.machine import count_cores
from mattingjax.process.native_signals import keeping_handlers
from mattingjax.process.packages import quiet_stderr
from mattingjax.process.scratch import SCRATCH_FOLDER, scratch_folder_in

_STORE = 2**27  # bytes of Ray's shared memory, in which nothing but lists of photos lies
_BATCH = 32  # photos that a worker gets at a time
_BATCHES = 8  # that each worker gets at least, so that all end at about the same time
_LONGEST_CONNECT = 10.0  # seconds
# The first that a client of HTTP/2 says, with a frame of no settings; a frame's head; its type.
_HTTP2_PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HTTP2_HEAD = 9  # bytes
_HTTP2_SETTINGS = b'\x04'
_MODE = 'RAY_AUTH_MODE'
_QUIET = {
    'RAY_ENABLE_AUTO_CONNECT': '0',  # what still runs at the end does not start it anew
    'RAY_USAGE_STATS_ENABLED': '0',  # nothing is reported to Ray's makers
    'RAY_BACKEND_LOG_LEVEL': 'fatal',
    'RAY_enable_metrics_collection': '0',  # nobody looks at them, and they take time
    'RAY_task_events_report_interval_ms': '0',
    'RAY_DATA_LOG_LEVEL': 'CRITICAL',
    'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0',  # of which it would warn
}


@contextlib.contextmanager
def connected(address: str | None, workers: int | None, most: int) -> Iterator[int]:
    """Starts Ray on this machine, or joins a cluster; a program that runs Ray already keeps it.

    Args:
      address: Of the cluster, such as 'auto' or '10.0.0.1:6379'; None starts one that ends with the
        block.
      workers: The number of workers; one for each core of this machine or of the cluster if None.
      most: The number of photos, as more workers would have nothing to do.

    Yields:
      The number of workers.

    Raises:
      MattingError: There is no cluster at the address, or it asks for a token.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
    import ray

    with contextlib.ExitStack() as stack:
        if not ray.is_initialized():
            stack.enter_context(_running(address, min(workers or count_cores(), most)))
        cores = max(1, int(ray.cluster_resources().get('CPU', 1)))
        yield min(workers or cores, most)


@contextlib.contextmanager
def _running(address: str | None, cores: int) -> Iterator[None]:
    import ray

    options: dict[str, Any] = {'log_to_driver': False, 'logging_level': 'ERROR'}
    with contextlib.ExitStack() as stack:
        if address is None:
            _give_token()
            # A socket's path must be short.
            short = '/tmp' if os.path.isdir('/tmp') else tempfile.gettempdir()
            folder = stack.enter_context(scratch_folder_in(Path(short), SCRATCH_FOLDER))
            options |= {
                'address': 'local',
                'num_cpus': cores,
                'num_gpus': 0,
                'include_dashboard': False,
                'object_store_memory': _STORE,
                '_temp_dir': str(folder),
            }
        else:
            _check_address(address)
            options['address'] = address
        try:
            with quiet_stderr(), _leaving_signals():  # its C++ code prints remarks
                ray.init(**options)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            where = 'this machine' if address is None else address
            raise MattingError(
                f'address: Ray cannot be reached at {where} ({unwrapped(str(error))})'
                f'{_advise_token(address)}'
            ) from error
        stack.callback(_shut_down)
        # It would print to standard output that a worker was killed, and is replaced.
        ray._private.worker._worker_logs_enabled = False
        yield


def _advise_token(address: str | None) -> str:
    """To an address that it is given, Ray sends a token only where it is told to."""
    is_found = address == 'auto' and 'RAY_ADDRESS' not in os.environ
    if address is None or is_found or _MODE in os.environ:
        return ''
    return f'; a cluster that has a token needs {_MODE}=token in the environment'


def _give_token() -> None:
    """Has Ray ask for a token of this process: it would keep one in the home folder."""
    names = ('RAY_AUTH_TOKEN', 'RAY_AUTH_TOKEN_PATH')
    kept = os.path.expanduser('~/.ray/auth_token')
    if not any(name in os.environ for name in names) and not os.path.isfile(kept):
        os.environ[names[0]] = secrets.token_hex(32)


@contextlib.contextmanager
def _leaving_signals() -> Iterator[None]:
    """Within it, Ray starts; after it, Ctrl-C and SIGTERM have the handlers from before.

    Ray sets a handler of SIGTERM in Python. Its C++ code sets another, which prints an account and
    has the process aborted if it still runs three seconds later.
    """
    from ray._private import utils

    earlier = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda _: None
    try:
        with keeping_handlers():
            yield
    finally:
        utils.set_sigterm_handler = earlier


def _shut_down() -> None:
    """Ends Ray, which takes a second, and leaves the handlers of signals as they are.

    Its C++ code sets SIGTERM's to the default, before its processes are ended.
    """
    import ray

    with keeping_handlers() as put_back:
        if (node := ray._private.worker._global_node) is not None:
            end_processes = node.kill_all_processes

            def put_back_first(*args: Any, **options: Any) -> None:
                put_back()
                end_processes(*args, **options)

            node.kill_all_processes = put_back_first
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raises MattingError unless a server of Ray listens at HOST:PORT: Ray would wait for minutes.

    Ray speaks gRPC, whose servers say SETTINGS first of all (RFC 9113, section 3.4); encrypted, it
    is not looked at.
    """
    found = re.fullmatch(r'\[?([^/]+?)\]?:(\d+)', address)
    if found is None:  # such as 'auto'
        return
    where = (found[1], int(found[2]))
    is_encrypted = os.environ.get('RAY_USE_TLS', '0').lower() in ('1', 'true')
    try:
        with socket.create_connection(where, _LONGEST_CONNECT) as connection:
            if is_encrypted:
                return
            connection.sendall(_HTTP2_PREFACE)
            frame = connection.makefile('rb').read(_HTTP2_HEAD)
    except (OSError, OverflowError) as error:
        raise MattingError(
            f'address: expected auto or HOST:PORT of a Ray cluster, got {address} ({error})'
        ) from error
    if frame[3:4] != _HTTP2_SETTINGS:
        raise MattingError(
            f'address: expected auto or HOST:PORT of a Ray cluster, got {address}, where something '
            'else answers'
        )


def run_workers(task: Task, plan: Plan, workers: int) -> Iterator[tuple[list[Row], str | None]]:
    """Mattes the photos of a list by a pool of workers; one that is killed is replaced.

    How many photos are under way, and so the memory, does not depend on their number.

    Args:
      task: What the workers do.
      plan: How long the list is, which lies in the store of the results.
      workers: The number of workers, each of which takes a core.

    Yields:
      The rows of a few photos that are done, and why results cannot be written, if they cannot.

    Raises:
      MattingError: The workers cannot start.
    """
    import ray

    results = _build(task, plan, workers)
    tables: Any = iter(results.iter_batches(batch_size=None, batch_format='pyarrow'))
    try:
        for table in tables:
            for result in table.to_pylist():
                yield json.loads(result['rows']), result['error']
    except ray.exceptions.RayError as error:
        raise MattingError(f'the workers have failed ({_explain(error)})') from error
    finally:
        with contextlib.suppress(Exception):  # Ray may have ended before
            tables.close()


def _explain(error: Exception) -> str:
    """What went wrong in a worker, without the traceback before it and Ray's advice after it."""
    if (cause := getattr(error, 'cause', None)) is None:
        return unwrapped(str(error).strip().rpartition('\n')[2])
    return unwrapped(str(cause).strip().partition('\n')[0])


def _build(task: Task, plan: Plan, workers: int) -> Any:
    """The data set of Ray Data whose rows are what the workers return."""
    import ray

    data = ray.data.DataContext.get_current()
    settings = {
        'target_max_block_size': 1,  # byte: each row, which is a few photos, is a block of its own
        'enable_progress_bars': False,
        'print_on_execution_start': False,
    }
    earlier = {name: getattr(data, name) for name in settings}
    size = max(1, min(_BATCH, plan.photos // (workers * _BATCHES)))
    try:
        for name, value in settings.items():
            setattr(data, name, value)
        groups = ray.data.from_items(
            [{'group': i} for i in range(plan.groups)], override_num_blocks=plan.groups
        )
        batches = groups.flat_map(Splitter(task.target, size), num_cpus=0)
        return batches.map_batches(
            Worker,
            fn_constructor_args=(task,),
            batch_size=None,
            batch_format='pyarrow',
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
    finally:
        for name, value in earlier.items():
            setattr(data, name, value)


class Splitter:
    """Reads groups of photos from the list and makes batches of them.

    Args:
      target: Where the list lies.
      size: The number of photos in a batch.
    """

    def __init__(self, target: Store, size: int):
        self._target, self._size = target, size

    def __call__(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        photos = read_group(self._target, row['group'])
        for start in range(0, len(photos), self._size):
            yield {
                'id': f'{row["group"]}-{start}',
                'photos': json.dumps(to_rows(photos.slice(start, self._size))),
            }
