"""Batches for training and evaluation: the same at every step, however many processes make them."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from mattingjax.data.mixtures import create_order, import_grain
from mattingjax.data.records import Dataset, RecordError
from mattingjax.data.transforms import Transform
from mattingjax.data.workers import prepare_worker
from mattingjax.errors import MattingError

Batch = dict[str, Any]

PIXELS = ('image', 'alpha', 'trimap')  # what the network trains on
_TRIES = 100
# Examples of a dataset without end: more than any training takes. Grain counts batches with
# floating-point numbers, which are exact up to here.
_ENDLESS = 2**53


class Pipeline(Iterator[Batch]):
    """Iterates over batches; made by `create_pipeline`.

    Attributes:
      steps: How many batches there are, or None for no end.
      unreadable: What was said of the records that could not be read so far, each once.
    """

    def __init__(self, batches: Any, identity: dict[str, int], workers: int, endless: bool):
        self._batches, self._identity, self._workers = batches, identity, workers
        self._step = 0
        self.unreadable: list[str] = []
        self._running: list[Any] = []  # at most one iterator of Grain
        # At the latest when the program ends: Grain's own attempt then comes too late.
        weakref.finalize(self, _stop, self._running)
        self.steps = None if endless else len(batches)

    def __next__(self) -> Batch:
        if not self._running:
            self._running.append(self._start())
        batch = next(self._running[0])
        self._step += 1
        for error in batch.pop('errors'):
            if not self.unreadable:
                logging.warning('%s; others are taken in place of such records', error)
            if error not in self.unreadable:
                self.unreadable.append(error)
        if self._workers:
            # Out of the memory shared with the worker, which then is free again.
            batch |= {name: np.array(batch[name]) for name in (*PIXELS, 'index') if name in batch}
        return batch

    def get_state(self) -> dict[str, int]:
        """What `set_state` needs to go on after the last batch that was given out; JSON types."""
        return self._identity | {'step': self._step}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on where another pipeline was, at once, wherever in an epoch that is.

        The number of workers and of shards may be another.

        Raises:
          MattingError: The state is of a pipeline with other data, seed or batch size.
        """
        for name, value in self._identity.items():
            if state.get(name) != value:
                raise MattingError(
                    f'state of the pipeline: expected {name} {value}, got {state.get(name)}'
                )
        self.close()
        self._step = int(state['step'])

    def close(self) -> None:
        """Ends the worker processes; the next batch would start them again."""
        _stop(self._running)

    def _start(self) -> Any:
        grain = import_grain()
        # One thread per process: more would make batches beyond the next ones, each in its memory.
        reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1 if self._workers else 2)
        batches = self._batches[self._step :].to_iter_dataset(reading)
        if self._workers:
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()  # Grain asks for flags of its own.
            processes = grain.multiprocessing.MultiprocessingOptions(self._workers, 2)
            batches = batches.mp_prefetch(processes, worker_init_fn=prepare_worker)
        return iter(batches)


def _stop(running: list[Any]) -> None:
    while running:
        running.pop().close()


def create_pipeline(
    dataset: Dataset,
    transform: Transform,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    epochs: int | None = None,
    workers: int = 0,
    shard_index: int = 0,
    shard_count: int = 1,
    drop_remainder: bool = True,
    on_error: str = 'skip',
) -> Pipeline:
    """Batches of examples, each of which depends on the data, the seed and its number alone.

    Records come in another order in each epoch; a batch may hold the end of one and the beginning
    of the next. A record that cannot be read, or whose new background cannot, is replaced by
    another, drawn by lot.

    Batches of worker processes come through shared memory (/dev/shm), which must hold a few from
    each. A script that uses workers needs the usual `if __name__ == '__main__'`.

    Args:
      dataset: Where the records come from, `mix_datasets` for several.
      transform: What makes them examples, all of one size.
      batch_size: Examples in a batch, over all shards.
      seed: Of the order and of the transforms, at least 0.
      shuffle: Whether the order is random; if not, records come in their own.
      epochs: How often each record comes; None for no end.
      workers: Processes that make batches; with 0 a thread of this process does.
      shard_index: Which part of each batch this host gets: every `shard_count`-th example from this
        one on.
      shard_count: Number of hosts; it divides the batch size.
      drop_remainder: Whether a last batch that is not full is left out. If not, it is smaller, and
        a host whose part of it is empty does not get one.
      on_error: 'skip', or 'raise' to stop at the first record that cannot be read.

    Returns:
      An iterator over dicts: `image`, uint8 [B, S, S, 3]; `alpha` and `trimap`, float32
      [B, S, S, 1], if the examples have them; `index`, int64 [B], and `name`, a list of strings:
      which records these are; `skipped`, how many could not be read while this batch was made.

    Raises:
      MattingError: A value is impossible, or there are too few records; later, while iterating, if
        a hundred records in a row cannot be read.
      RecordError: With 'raise', while iterating: a record cannot be read.
    """
    _check(dataset, batch_size, epochs, shard_index, shard_count, on_error)
    positions = create_order(dataset, seed, shuffle, epochs)
    count = len(positions) if epochs else _ENDLESS
    if drop_remainder:
        count = count // batch_size * batch_size
    positions = positions[:count]
    if not len(positions):
        raise MattingError(
            f'dataset: expected the {batch_size} records of a batch, got {len(dataset)}'
        )
    make_example = _MakeExample(dataset, transform, seed, on_error == 'skip')
    examples = positions.map_with_index(make_example)[shard_index::shard_count]
    batches = examples.batch(batch_size // shard_count, batch_fn=_make_batch)
    identity = {
        'records': len(dataset),
        'batch_size': batch_size,
        'seed': seed,
        'shuffle': int(shuffle),
    }
    return Pipeline(batches, identity, workers, epochs is None)


def _check(
    dataset: Dataset,
    batch_size: int,
    epochs: int | None,
    shard_index: int,
    shard_count: int,
    on_error: str,
) -> None:
    if not len(dataset):
        raise MattingError('dataset: expected at least one record, got none')
    if shard_count < 1 or batch_size < 1 or batch_size % shard_count:
        raise MattingError(
            f'batch_size: expected a multiple of the {shard_count} shards, got {batch_size}'
        )
    if not 0 <= shard_index < shard_count:
        raise MattingError(
            f'shard_index: expected at least 0 and below {shard_count}, got {shard_index}'
        )
    if epochs is not None and epochs < 1:
        raise MattingError(f'epochs: expected at least 1, got {epochs}')
    if on_error not in ('skip', 'raise'):
        raise MattingError(f"on_error: expected 'skip' or 'raise', got {on_error!r}")


@dataclasses.dataclass(frozen=True)
class _MakeExample:
    """Reads and transforms the record that comes at a position of the whole run."""

    dataset: Dataset
    transform: Transform
    seed: int
    skip: bool

    def __call__(self, position: int, index: int) -> Batch:
        rng = np.random.default_rng([self.seed, position])
        errors: list[str] = []
        for skipped in range(_TRIES):
            try:
                example = self.transform(self.dataset[index], rng)
            except RecordError as problem:
                if not self.skip:
                    raise
                errors.append(str(problem))
                index = int(rng.integers(len(self.dataset)))
            else:
                return {**example, 'index': index, 'skipped': skipped, 'errors': errors}
        raise MattingError(f'{_TRIES} records in a row cannot be read, the first: {errors[0]}')


def _make_batch(examples: Sequence[Batch]) -> Batch:
    if len({frozenset(example) for example in examples}) > 1:
        raise MattingError('batch: expected all records with an alpha or all without, got both')
    batch: Batch = {
        name: np.stack([example[name] for example in examples])
        for name in PIXELS
        if name in examples[0]
    }
    batch['index'] = np.array([example['index'] for example in examples])
    batch['name'] = [example['name'] for example in examples]
    batch['skipped'] = sum(example['skipped'] for example in examples)
    batch['errors'] = [error for example in examples for error in example['errors']]
    return batch
