"""Which photos a run mattes: a list on disk, so that their number needs no memory."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from mattingjax.errors import ImageError, unwrapped
from mattingjax.images.listing import EXTENSIONS
from mattingjax.inference.bulk.digests import Digests, digest
from mattingjax.inference.bulk.store import PRIVATE, Entry, Store
from mattingjax.inference.bulk.table import (
    TABLE,
    Index,
    Row,
    Table,
    identify,
    make_row,
    photo_schema,
)
from mattingjax.inference.jobs import name_results
from mattingjax.inference.outputs import Outputs
from mattingjax.process.ahead import run_ahead
from mattingjax.process.files import LONGEST_NAME

PLAN = f'{PRIVATE}/plan.parquet'
GROUP = 4096  # photos that are read from the list at a time
_THREADS = 16  # that list folders: a store takes its time to answer


class Plan(NamedTuple):
    """What a run has to do.

    Attributes:
      groups: How many groups of photos `PLAN` lists.
      photos: The number of photos in them.
      existing: Photos that are matted already.
      failed_before: Photos that an earlier run could not matte, and that are left alone.
      refused: Photos whose names cannot be those of results.
      others: Files of no known picture format.
      listed: Digests of the paths of all photos.
    """

    groups: int
    photos: int
    existing: int
    failed_before: int
    refused: int
    others: int
    listed: Digests


class Planner:
    """Lists the photos of a run.

    Args:
      source: Where the photos are; it is searched with its sub-folders, but for hidden ones.
      target: Where the results go.
      outputs: Which pictures are made of each photo.
      index: What the table of the results knows.
      settings: The settings of the run, as in the table.
      retry_failed: Whether photos that failed before are tried again.
    """

    def __init__(
        self,
        source: Store,
        target: Store,
        outputs: Outputs,
        index: Index,
        settings: str,
        *,
        retry_failed: bool,
    ):
        self._source, self._target, self._outputs = source, target, outputs
        self._index, self._settings, self._retry = index, settings, retry_failed
        self._existing = self._failed_before = self._refused = self._others = 0
        self._listed = Digests()

    def make(self, table: Table) -> Plan:
        """Writes the list `PLAN`; photos with impossible names become rows of the table.

        Raises:
          ImageError: A folder cannot be read.
          OutputError: The list cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        photos = groups = 0
        with (
            self._target.creating(PLAN) as path,
            pq.ParquetWriter(path, photo_schema()) as writer,
        ):
            found = itertools.chain.from_iterable(self._find(table))
            while group := list(itertools.islice(found, GROUP)):
                writer.write_table(pa.Table.from_pylist(group, photo_schema()))
                photos, groups = photos + len(group), groups + 1
        return Plan(
            groups,
            photos,
            self._existing,
            self._failed_before,
            self._refused,
            self._others,
            self._listed,
        )

    def _find(self, table: Table) -> Iterator[list[Row]]:
        """Yields the photos to matte, some at a time."""
        for folder, files, folders, there in self._walk():
            photos = [file for file in files if PurePath(file.name).suffix.lower() in EXTENSIONS]
            self._others += len(files) - len(photos)
            stems = name_results([photo.name for photo in photos])
            for start in range(0, len(photos), GROUP):
                part = slice(start, start + GROUP)
                rows = [
                    {
                        'path': _join(folder, photo.name),
                        'results': _join(folder, stem),
                        'size': photo.size,
                        'modified': photo.modified,
                    }
                    for photo, stem in zip(photos[part], stems[part], strict=True)
                ]
                yield self._select(rows, folders, there, table)

    def _walk(self) -> Iterator[tuple[str, list[Entry], set[str], set[str]]]:
        """Yields folders, the files and the names of folders in each, and those of its results."""
        left_out = self._source.find(self._target)
        with ThreadPoolExecutor(_THREADS) as pool:
            level = ['']
            while level:
                below = []
                for folder, future in run_ahead(pool, self._list, level, _THREADS):
                    entries, there = future.result()
                    visible = [entry for entry in entries if not entry.name.startswith('.')]
                    files = [entry for entry in visible if not entry.is_folder]
                    folders = {entry.name for entry in visible if entry.is_folder}
                    paths = [_join(folder, entry.name) for entry in visible if entry.is_folder]
                    below += [path for path in paths if path != left_out]
                    yield folder, files, folders, there
                level = below

    def _list(self, folder: str) -> tuple[list[Entry], set[str]]:
        try:
            entries = self._source.list(folder)
        except OSError as error:
            if folder and isinstance(error, FileNotFoundError):
                return [], set()  # it went meanwhile, or a store shows one that has no name
            where = _join(self._source.address.partition('?')[0].rstrip('/'), folder)
            what = unwrapped(error.strerror or str(error))
            raise ImageError(f'{where.rstrip("/")}: cannot be read ({what})') from error
        there: set[str] = set()
        if len(self._index.matted):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                there = {entry.name for entry in self._target.list(folder)}
        return entries, there

    def _select(
        self, rows: list[Row], folders: set[str], there: set[str], table: Table
    ) -> list[Row]:
        """The photos of these that are to be matted."""
        self._listed.add(digest(_text(row['path']) for row in rows))
        problems = [_find_problem(row, self._outputs, folders) for row in rows]
        for row in rows:
            row |= {name: _text(row[name]) for name in ('path', 'results')}
        digests = identify(rows, self._settings)
        has_results = np.array([self._has_results(row, there) for row in rows], bool)
        is_matted = self._index.matted.holds(digests) & has_results
        is_failed = self._index.failed.holds(digests) & (not self._retry)
        self._existing += int(is_matted.sum())
        self._failed_before += int(is_failed.sum())
        left = [(rows[i], problems[i]) for i in np.flatnonzero(~(is_matted | is_failed))]
        refused = [make_row(row, problem) for row, problem in left if problem is not None]
        self._refused += len(refused)
        table.add(refused)
        return [row for row, problem in left if problem is None]

    def _has_results(self, row: Row, there: set[str]) -> bool:
        stem = row['results'].rpartition('/')[2]
        return all(name in there for name in self._outputs.names(stem))


def _find_problem(row: Row, outputs: Outputs, folders: set[str]) -> str | None:
    """Why the name of a photo, which has some folders beside it, cannot be that of results."""
    if row['path'].startswith(f'{TABLE}/'):
        return 'the folder has the name of the table'
    names = outputs.names(row['results'].rpartition('/')[2])
    if folders and not folders.isdisjoint(names):
        return 'a folder beside it has the name of a result'
    try:
        stem = row['results'].encode().rpartition(b'/')[2]
    except UnicodeEncodeError:
        return 'expected a name of UTF-8 characters'
    if any(len(name) - 1 + len(stem) > LONGEST_NAME for name in outputs.names('_')):
        return 'the name is too long for that of a result'
    return None


def _text(name: str) -> str:
    """A name as the table can hold it: bytes that are no text are escaped."""
    return name.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')


def _join(folder: str, name: str) -> str:
    return f'{folder}/{name}' if folder else name


def read_group(target: Store, number: int) -> Any:
    """Reads a group of photos from the list `PLAN`, as a table of Arrow."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(target.open(PLAN)) as file:
        return file.read_row_group(number)
