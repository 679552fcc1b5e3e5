"""Mattes the photos of a folder or an object store, on all cores of a machine or of a cluster."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from mattingjax.errors import ImageError, MattingError, OutputError, one_line
from mattingjax.inference.bulk.addresses import open_source, open_store
from mattingjax.inference.bulk.cluster import connected, run_workers
from mattingjax.inference.bulk.folder import SCRATCH
from mattingjax.inference.bulk.plan import PLAN, Plan, Planner
from mattingjax.inference.bulk.store import Store
from mattingjax.inference.bulk.summary import BulkSummary
from mattingjax.inference.bulk.table import Row, Table
from mattingjax.inference.bulk.watch import ending_with_ray
from mattingjax.inference.bulk.worker import ATTEMPTS, Task
from mattingjax.inference.outputs import Outputs
from mattingjax.process.ahead import read_ahead
from mattingjax.process.packages import require_package
from mattingjax.process.progress import say, show_progress
from mattingjax.process.stopping import Stop

_SAID = 10  # failures that are reported one by one


def matte_bulk(
    source: str | os.PathLike,
    target: str | os.PathLike,
    outputs: Outputs | None = None,
    *,
    network: Mapping[str, Any] | None = None,
    workers: int | None = None,
    address: str | None = None,
    retry_failed: bool = False,
    own_process: bool = False,
) -> BulkSummary:
    """Mattes all photos of a folder or an object store that are not matted yet, by Ray Data.

    `target` gets the results, by the names of `mattingjax predict`, and `table.parquet` with a row
    for each photo: its size and time, width and height, seconds, and what was wrong. A photo is
    matted already if its row has its size and time, and the settings, and its results lie there. A
    run that was ended in any way goes on when it is called again.

    Args:
      source: A folder, searched with its sub-folders, or 's3://BUCKET/...' or 'gs://BUCKET/...'.
      target: Likewise where the results go; for a cluster a folder that all machines share.
      outputs: Which pictures are made of each photo; the alpha alone if None.
      network: What `create_predictor` takes, by name, but for `parallel` and `threads`; the best
        weights that ship if None.
      workers: The number of workers; one for each core if None.
      address: Of a Ray cluster, such as 'auto' or '10.0.0.1:6379'. If None, Ray runs on this
        machine and ends with the call, unless the program runs Ray already.
      retry_failed: Whether photos that failed before are tried again.
      own_process: Whether the process does nothing else, as in `Stop`.

    Returns:
      How many photos were matted, and how fast. Ctrl-C and SIGTERM end it early, with a table of
      what is done.

    Raises:
      MattingError: An address or an argument is impossible, or another run writes to `target`.
      ImageError: There are no photos.
      OutputError: Results cannot be written.
      ImportError: A package of the extra `bulk` is not installed.
    """
    for package in ('ray', 'pyarrow'):
        require_package('bulk matting', package, 'bulk')
    if workers is not None and workers < 1:
        raise MattingError(f'workers: expected at least 1, got {workers}')
    outputs = outputs or Outputs(('alpha',))
    task = Task(open_source(source), open_store(target), outputs, _absolute(network or {}))
    _check_apart(task.source, task.target)
    settings = _hash_settings(task)
    table = Table(task.target, task.source.identity, settings)
    with task.target.locked():
        _clean(task.target)
        table.recover()
        index = table.read_index()
        planner = Planner(
            task.source, task.target, outputs, index, settings, retry_failed=retry_failed
        )
        plan = planner.make(table)
        if not len(plan.listed):
            raise ImageError(f'{task.source.address}: holds no picture')
        summary = BulkSummary(
            failed=plan.refused,
            existing=plan.existing,
            failed_before=plan.failed_before,
            others=plan.others,
        )
        if plan.photos:
            _matte(task, plan, table, summary, workers, address, own_process=own_process)
        is_whole = summary.stopped_by is None
        if plan.photos or plan.refused or index.rows != len(plan.listed):
            table.compact(plan.listed if is_whole else None)
        _clean(task.target)
    return summary


def _matte(
    task: Task,
    plan: Plan,
    table: Table,
    summary: BulkSummary,
    workers: int | None,
    address: str | None,
    *,
    own_process: bool,
) -> None:
    """Mattes what is planned, and counts it in the summary."""
    start = time.monotonic()
    stop = Stop('the table is written', own_process=own_process)
    stop.has_done_something()  # Ray's processes have to be ended
    with (
        stop.watching(),
        connected(address, workers, plan.photos) as summary.workers,
        ending_with_ray(own_process),
        show_progress(total=plan.photos, unit='photo', description='matting') as bar,
    ):
        # Another thread waits for Ray, so that a signal need not.
        results = run_workers(task, plan, summary.workers)
        try:
            for rows, error in read_ahead(results, 1, lambda: stop.requested is not None):
                table.add(rows)
                _count(rows, summary, time.monotonic() - start)
                bar.update(len(rows))
                if error is not None:
                    raise OutputError(error)
        finally:
            table.flush()  # before Ray's processes are ended, which takes a second
    summary.stopped_by = stop.requested


def _count(rows: list[Row], summary: BulkSummary, seconds: float) -> None:
    """Counts photos that are done, and reports the first failures."""
    failed = [row for row in rows if row['error'] is not None]
    for row in failed[: max(0, _SAID - summary.failed)]:
        say(one_line(f'failed: {row["path"]}: {row["error"]}'))
    if summary.failed < _SAID <= summary.failed + len(failed):
        say('further failures are in the table alone')
    summary.count(len(rows) - len(failed), len(failed), seconds)


def _check_apart(source: Store, target: Store) -> None:
    """Raises OutputError if results could lie in the place of photos, or be taken for photos."""
    if target.find(source) is not None:
        raise OutputError(
            f'{target.address}: expected a folder that does not hold the photos, which lie in '
            f'{source.address}'
        )


def _clean(target: Store) -> None:
    """Removes what only one run reads."""
    for name in (PLAN, ATTEMPTS, SCRATCH):
        target.remove(name)


def _absolute(network: Mapping[str, Any]) -> dict[str, Any]:
    """The same network for processes that have another working directory."""
    paths = {
        name: os.path.abspath(network[name])
        for name in ('path_or_name', 'openvino_cache')
        if network.get(name) is not None and os.path.exists(network[name])
    }
    return {**network, **paths}


def _hash_settings(task: Task) -> str:
    """A hash that changes where the results would; raises what `create_predictor` does."""
    outputs = task.outputs
    network = task.load().describe()
    made = {
        'network': {name: network[name] for name in network if name not in ('checkpoint', 'name')},
        'background': outputs.background and outputs.background.digest(),
        'foreground': outputs.foreground,
        'refine': outputs.refine,
        'format': outputs.format,
    }
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]
