"""The table of a run: a Parquet file with one row for each photo."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mattingjax.errors import OutputError, unwrapped
from mattingjax.inference.bulk.digests import Digests, digest
from mattingjax.inference.bulk.store import PRIVATE, Store

TABLE = 'table.parquet'
PARTS = f'{PRIVATE}/parts'
_SOURCE = b'mattingjax.input'
_ROWS, _SECONDS = 5_000, 30.0  # after which rows are written, as a part
_GROUP = 65_536  # rows that are written at a time
_AT_ONCE, _MOST_BYTES = 8_192, 2**27  # rows that are read at a time, and what their texts may take
_REQUIRED = ('path', 'results', 'size', 'modified', 'settings')
Row = dict[str, Any]


@functools.cache
def photo_schema() -> Any:
    """The columns of a photo that is to be matted."""
    import pyarrow as pa

    return pa.schema(
        [
            ('path', pa.string()),  # below the input, with slashes
            ('results', pa.string()),  # path of the results below the output, without _alpha.png
            ('size', pa.int64()),  # of the file in bytes
            ('modified', pa.timestamp('ns', 'UTC')),
        ]
    )


@functools.cache
def schema() -> Any:
    """The columns of the table."""
    import pyarrow as pa

    outcome = [
        ('width', pa.int32()),  # in pixels, upright; null if it could not be decoded
        ('height', pa.int32()),
        ('seconds', pa.float32()),  # for decoding, the network and the results
        ('error', pa.string()),  # null if it was matted
        ('settings', pa.string()),  # a hash of the network and of what was made
    ]
    return pa.schema([*photo_schema(), *outcome])


def make_row(photo: Mapping[str, Any], error: str | None = None, **outcome: Any) -> Row:
    """The row of a photo, but for the settings.

    Args:
      photo: A row by `photo_schema`.
      error: What is wrong with it, if it was not matted.
      outcome: Other columns of `schema`.
    """
    return {**photo, 'width': None, 'height': None, 'seconds': None, **outcome, 'error': error}


def identify(photos: Iterable[Mapping[str, Any]], settings: str | None = None) -> np.ndarray:
    """A digest for each photo that changes with the file, its results' names and the settings.

    Args:
      photos: Rows, whose `modified` is in nanoseconds.
      settings: The settings; those in the rows if None.
    """
    return digest(
        '\0'.join(
            [
                photo['path'], photo['results'], str(photo['size']), str(photo['modified']),
                photo['settings'] if settings is None else settings,
            ]
        )
        for photo in photos
    )  # fmt: skip


class Index(NamedTuple):
    """What the table knows.

    Attributes:
      matted: The photos that were matted, by `identify`.
      failed: Those that could not be.
      rows: The number of rows.
    """

    matted: Digests
    failed: Digests
    rows: int


class Table:
    """The table in a store, and the parts that become it.

    Rows are written in parts as they come, so that a killed run loses few, and put together at the
    end, or when the next run begins.

    Args:
      store: Where the results lie.
      source: The identity of the store of the photos.
      settings: What rows get as settings.
    """

    def __init__(self, store: Store, source: str, settings: str):
        self._store, self._source, self._settings = store, source, settings
        self._rows: list[Row] = []
        self._parts = 0
        self._written = time.monotonic()

    def recover(self) -> None:
        """Puts the parts together that a killed run has left.

        Raises:
          OutputError: The table is damaged, cannot be written, or is that of other photos.
        """
        if self._exists(TABLE):
            with self._open(TABLE) as file:
                source = (file.schema_arrow.metadata or {}).get(_SOURCE, b'')
            source = source.decode(errors='backslashreplace')
            if source != self._source:
                raise OutputError(
                    f'{self._store.address}: holds the results of the photos in {source or "?"}; '
                    f'expected another folder for those in {self._source}'
                )
        if self._list_parts():
            self.compact()

    def read_index(self) -> Index:
        """What the table knows; raises OutputError if it is damaged."""
        matted, failed, rows = Digests(), Digests(), 0
        names = ['path', 'results', 'size', 'modified', 'error', 'settings']
        for batch in self._read(TABLE, names) if self._exists(TABLE) else ():
            found = to_rows(batch)
            rows += len(found)
            digests = identify(found)
            has_failed = np.array([row['error'] is not None for row in found], bool)
            failed.add(digests[has_failed])
            matted.add(digests[~has_failed])
        return Index(matted, failed, rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Adds rows, which are on disk after half a minute; raises OutputError."""
        self._rows += [row | {'settings': self._settings} for row in rows]
        if len(self._rows) >= _ROWS or time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that are not written yet; raises OutputError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._written = time.monotonic()
        if not self._rows:
            return
        with self._store.creating(f'{PARTS}/{self._parts:08}.parquet') as path:
            table = pa.Table.from_pylist(self._rows, schema())
            pq.write_table(table, path, write_page_checksum=True)
        self._parts += 1
        self._rows = []

    def compact(self, listed: Digests | None = None) -> None:
        """Puts parts and table together: the newest row of each photo.

        Args:
          listed: Digests of the paths of all photos; rows of others are left out.

        Raises:
          OutputError: It cannot be written, or something in it is damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.flush()
        names = [f'{PARTS}/{name}' for name in reversed(self._list_parts())]
        if self._exists(TABLE):
            names.append(TABLE)
        seen, waiting, count = Digests(), [], 0
        columns = schema().with_metadata({_SOURCE: self._source.encode()})
        with (
            self._store.creating(TABLE) as path,
            pq.ParquetWriter(path, columns, write_page_checksum=True) as writer,
        ):
            for batch in (batch for name in names for batch in self._read(name)):
                digests = digest(batch['path'].to_pylist())
                is_kept = seen.add(digests)
                if listed is not None:
                    is_kept &= listed.holds(digests)
                waiting.append(batch.filter(pa.array(is_kept)))
                count += len(waiting[-1])
                if count >= _GROUP:
                    writer.write_table(pa.Table.from_batches(waiting, schema()))
                    waiting, count = [], 0
            writer.write_table(pa.Table.from_batches(waiting, schema()))
        self._store.remove(PARTS)

    def _list_parts(self) -> list[str]:
        try:
            return [entry.name for entry in self._store.list(PARTS) if not entry.is_folder]
        except FileNotFoundError:
            return []

    def _exists(self, name: str) -> bool:
        try:  # rather than to list a folder in which millions of results may lie
            self._store.open(name).close()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._damaged(name, error) from error
        return True

    def _open(self, name: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            texts = [field.name for field in schema() if field.type == pa.string()]
            file = pq.ParquetFile(
                self._store.open(name), read_dictionary=texts, page_checksum_verification=True
            )
            if not file.schema.to_arrow_schema().equals(schema()):
                raise pa.ArrowInvalid(f'expected the columns {", ".join(schema().names)}')
        except (OSError, KeyError, pa.ArrowException) as error:  # KeyError: one is missing
            raise self._damaged(name, error) from error
        return file

    def _read(self, name: str, columns: list[str] | None = None) -> Iterator[Any]:
        import pyarrow as pa

        with self._open(name) as file:
            missing = file.metadata.num_rows
            try:
                for batch in file.iter_batches(_AT_ONCE, columns=columns):
                    missing -= len(batch)
                    yield _unfold(batch)
                if missing:
                    raise pa.ArrowInvalid(f'expected {file.metadata.num_rows} rows')
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(name, error) from error

    def _damaged(self, name: str, error: Exception) -> OutputError:
        return OutputError(
            f'{self._store.address}: {name} cannot be read ({_reason(error)}); without it '
            'all photos are matted anew'
        )


def _unfold(batch: Any) -> Any:
    """The rows of a batch whose texts are dictionaries; few bytes may have become many.

    Raises:
      ArrowException: Something is missing, too long, or no text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    batch.validate(full=True)
    size = 0
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in _REQUIRED and column.null_count:
            raise pa.ArrowInvalid(f'expected a value in each row of {name}')
        if pa.types.is_dictionary(column.type):
            size += pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0
    if size > _MOST_BYTES:
        raise pa.ArrowInvalid(f'{len(batch)} rows hold {size >> 20} MiB of text')
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return unwrapped(said or str(error))


def to_rows(batch: Any) -> list[Row]:
    """The rows of a batch or table of Arrow, with times in nanoseconds."""
    import pyarrow as pa

    place = batch.schema.get_field_index('modified')
    times = batch['modified'].cast(pa.int64())
    return batch.set_column(place, 'modified', times).to_pylist()
