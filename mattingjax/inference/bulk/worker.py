"""What a worker process does: it mattes photos one after the other, on one core."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from mattingjax.errors import MattingError, OutputError, one_line
from mattingjax.images import load_photo
from mattingjax.inference.bulk.store import PRIVATE, Store
from mattingjax.inference.bulk.table import Row, make_row
from mattingjax.inference.outputs import Outputs, render
from mattingjax.inference.predictor import Predictor, create_predictor
from mattingjax.process.ahead import run_ahead
from mattingjax.process.memory import keep_freed_memory

ATTEMPTS = f'{PRIVATE}/attempts'
_AHEAD = 4  # photos that are read, or whose results are written, while another is in work
_MOST_DEATHS = 2  # of workers that had begun a photo, after which it is left alone


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What all workers of a run do.

    Attributes:
      source: Where the photos are.
      target: Where the results go.
      outputs: Which pictures are made of each photo.
      network: What `create_predictor` takes, but for `threads`.
    """

    source: Store
    target: Store
    outputs: Outputs
    network: Mapping[str, Any]

    def load(self) -> Predictor:
        """Loads the network, which will compute with one thread."""
        return create_predictor(**self.network, threads=1)


class Worker:
    """An actor of Ray Data's, which has the network loaded.

    Args:
      task: What it does.
    """

    def __init__(self, task: Task):
        import cv2

        keep_freed_memory()
        cv2.setNumThreads(1)
        self._task, self._predictor = task, task.load()
        self._readers, self._writers = ThreadPoolExecutor(_AHEAD), ThreadPoolExecutor(_AHEAD)

    def __call__(self, batch: Any) -> Any:
        """Mattes a few photos.

        Args:
          batch: A table of Arrow with one row: `id`, and `photos`, JSON with the rows of
            `photo_schema`.

        Returns:
          A table with one row: `rows`, JSON with the rows for the table of the photos that were
          done, and `error`, why results cannot be written, if they cannot.
        """
        import pyarrow as pa

        rows, error = [], None
        try:
            attempts = _Attempts(self._task.target, batch['id'][0].as_py())
            for row in self._matte(json.loads(batch['photos'][0].as_py()), attempts):
                rows.append(row)
            attempts.end()
        except OutputError as problem:
            error = str(problem)
        columns = {'rows': [json.dumps(rows)], 'error': pa.array([error], pa.string())}
        return pa.table(columns)

    def _matte(self, photos: Sequence[Row], attempts: _Attempts) -> Iterator[Row]:
        writing: deque[tuple[Row, list[Future[None]]]] = deque()
        read = run_ahead(
            self._readers, lambda photo: self._task.source.read(photo['path']), photos, _AHEAD
        )
        for i, (photo, content) in enumerate(read):
            if problem := attempts.begin(i):
                yield make_row(photo, problem)
                continue
            row, pictures = self._make(photo, content)
            names = self._task.outputs.names(photo['results'])
            writes = [
                self._writers.submit(self._task.target.write, name, picture)
                for name, picture in zip(names, pictures, strict=False)  # none if it failed
            ]
            writing.append((row, writes))
            if len(writing) > _AHEAD:
                yield _end(*writing.popleft())
        while writing:
            yield _end(*writing.popleft())

    def _make(self, photo: Row, content: Future[bytes]) -> tuple[Row, list[bytes]]:
        """The row of a photo, and the files of its results."""
        outputs, size = self._task.outputs, {}
        try:
            encoded = content.result()
            start = time.perf_counter()
            picture = load_photo(encoded, photo['path'])
            size = dict(zip(('height', 'width'), picture.pixels.shape, strict=False))
            alpha = self._predictor(picture, refine=outputs.refine)
            pictures = render(picture, alpha, outputs, _INLINE)
        # Whatever a photo does to the libraries, a run of millions goes on with the others.
        except Exception as error:
            return make_row(photo, _explain(photo['path'], error), **size), []
        seconds = time.perf_counter() - start
        return make_row(photo, **size, seconds=seconds), list(pictures.values())


class _Attempts:
    """Notes what is begun, so that a photo that ends every worker is left alone at last.

    At first it notes only that a batch was begun, which is not much for a store to write. A worker
    that finds such a note knows that an earlier one ended within the batch, and notes each photo.

    Args:
      store: Where the notes lie, as the next worker may be on another machine.
      batch: The name of the batch.
    """

    def __init__(self, store: Store, batch: str):
        self._store, self._name = store, f'{ATTEMPTS}/{batch}'
        self._deaths: dict[str, int] = {}
        try:
            self._deaths = json.loads(store.read(self._name))
            self._is_careful = True
        except FileNotFoundError:
            self._is_careful = False
            self._note()

    def begin(self, photo: int) -> str | None:
        """Notes that a photo is begun; returns why it must not be, if so."""
        if not self._is_careful:
            return None
        deaths = self._deaths.get(str(photo), 0)
        if deaths >= _MOST_DEATHS:
            return f'{deaths} processes ended that had begun it, perhaps for lack of memory'
        self._deaths[str(photo)] = deaths + 1
        self._note()
        self._deaths[str(photo)] = deaths  # unless this process ends before the next note
        return None

    def end(self) -> None:
        """Removes the notes."""
        self._store.remove(self._name)

    def _note(self) -> None:
        self._store.write(self._name, json.dumps(self._deaths).encode())


class _Inline(Executor):
    """Runs what is submitted at once: a worker has one core."""

    def submit(self, function, /, *arguments, **named):
        future: Future = Future()
        future.set_result(function(*arguments, **named))
        return future


_INLINE = _Inline()


def _end(row: Row, writes: Sequence[Future[None]]) -> Row:
    for write in writes:
        write.result()
    return row


def _explain(path: str, error: Exception) -> str:
    """A line about what is wrong with a photo, without its path."""
    if isinstance(error, OSError):
        return one_line(f'cannot be read ({error.strerror or error})')
    if isinstance(error, MattingError):
        return str(error).removeprefix(f'{path}: ')
    return one_line(f'{type(error).__name__}: {error}')
