"""Batches for training: the same at every step, however many processes make them."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from mattingjax.data.iteration import iterate
from mattingjax.data.mixtures import create_order, import_grain
from mattingjax.data.records import Dataset, RecordError
from mattingjax.data.transforms import Transform
from mattingjax.errors import MattingError

Batch = dict[str, Any]

PIXELS = ('image', 'alpha', 'trimap')  # the arrays of a batch that go to the accelerator
_TRIES = 100  # records that are tried in a row before the dataset counts as unreadable
# The length of the endless sequence of examples: more than any training takes. Grain counts
# batches with floating-point numbers, which are exact up to here.
_ENDLESS = 2**53


class Pipeline(Iterator[Batch]):
    """An iterator over batches without an end; `create_pipeline` makes it.

    Attributes:
      unreadable: The error messages of the records that could not be read so far, each once.
    """

    def __init__(self, batches: Any, identity: dict[str, int], workers: int):
        self._batches, self._identity, self._workers = batches, identity, workers
        self._step = 0
        self.unreadable: list[str] = []
        self._running: list[Any] = []  # at most one iterator of Grain
        # Workers must end before the program does: Grain's own attempt comes too late.
        weakref.finalize(self, _stop, self._running)

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
            # A copy lets the worker use its shared memory again.
            batch |= {name: np.array(batch[name]) for name in (*PIXELS, 'index') if name in batch}
        return batch

    def get_state(self) -> dict[str, int]:
        """The state after the last batch that was returned, for `set_state`: JSON types."""
        return self._identity | {'step': self._step}

    def set_state(self, state: dict[str, int]) -> None:
        """Continues where another pipeline was, without reading the batches before.

        That pipeline may have had another number of workers or shards.

        Args:
          state: What `get_state` of that pipeline returned.

        Raises:
          MattingError: That pipeline had another number of records, seed or batch size.
        """
        check_state(self._identity, state)
        self.close()
        self._step = int(state['step'])

    def close(self) -> None:
        """Ends the worker processes; asking for another batch starts them again."""
        _stop(self._running)

    def _start(self) -> Any:
        return iterate(self._batches[self._step :], self._workers)


def check_state(identity: Mapping[str, int], state: Mapping[str, int]) -> None:
    """Raises MattingError unless a state is of batches with these numbers of records and so on."""
    for name, value in identity.items():
        if state.get(name) != value:
            raise MattingError(
                f'state of the pipeline: expected {name} {value}, got {state.get(name)}'
            )


def _stop(running: list[Any]) -> None:
    while running:
        running.pop().close()


def create_pipeline(
    dataset: Dataset,
    transform: Transform,
    *,
    batch_size: int,
    seed: int,
    workers: int = 0,
    shard_index: int = 0,
    shard_count: int = 1,
    on_error: str = 'skip',
) -> Pipeline:
    """Makes batches without an end, each determined by the dataset, the seed and its number.

    The order of the records is random and another one in each epoch; a batch may hold the end of
    one epoch and the beginning of the next. A record that cannot be read, or whose new background
    cannot be, is replaced by another record, drawn at random.

    Worker processes return batches in shared memory (/dev/shm), which must hold a few batches of
    each. A script that uses workers needs the usual `if __name__ == '__main__'`.

    Args:
      dataset: The records; `mix_datasets` makes one dataset of several.
      transform: Makes an example of a record. All examples have one size.
      batch_size: Number of examples in a batch, over all shards.
      seed: Random seed of the order and of the transforms, at least 0.
      workers: Number of processes that make batches; with 0 a thread of this process makes them.
      shard_index: Which of the `shard_count` equal parts of each batch is made, from 0.
      shard_count: Number of hosts; it divides the batch size.
      on_error: What is done about a record that cannot be read: 'skip' replaces it, 'raise' stops.

    Returns:
      An iterator over dictionaries: `image`, uint8 [B, S, S, 3]; `alpha` and `trimap`, float32
      [B, S, S, 1], if the examples have them; `index`, int64 [B], and `name`, a list of strings,
      of the records; `skipped`, the number of records that were replaced in this batch.

    Raises:
      MattingError: An argument is out of range, or the dataset is empty; while iterating, a hundred
        records in a row cannot be read.
      RecordError: While iterating, with `on_error='raise'`: a record cannot be read.
    """
    _check(dataset, batch_size, shard_index, shard_count, on_error)
    positions = create_order(dataset, seed)[: _ENDLESS // batch_size * batch_size]
    make_example = _MakeExample(dataset, transform, seed, on_error == 'skip')
    examples = positions.map_with_index(make_example)
    if shard_count > 1:
        share = _Share(examples, batch_size, batch_size // shard_count, shard_index)
        examples = import_grain().MapDataset.source(share)
    batches = examples.batch(batch_size // shard_count, batch_fn=_make_batch)
    identity = {'records': len(dataset), 'batch_size': batch_size, 'seed': seed}
    return Pipeline(batches, identity, workers)


def _check(
    dataset: Dataset, batch_size: int, shard_index: int, shard_count: int, on_error: str
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
    if on_error not in ('skip', 'raise'):
        raise MattingError(f"on_error: expected 'skip' or 'raise', got {on_error!r}")


@dataclasses.dataclass(frozen=True)
class _MakeExample:
    """Makes the example at a position of the endless sequence.

    Attributes:
      dataset: The records.
      transform: Makes an example of a record.
      seed: Random seed of the transforms.
      skip: Whether a record that cannot be read is replaced, instead of raising its error.
    """

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


@dataclasses.dataclass(frozen=True, eq=False)
class _Share:
    """The examples of one part of each batch, in order.

    Attributes:
      examples: The examples of all batches.
      batch_size: Number of examples in a batch.
      size: Number of examples in a part.
      index: Which part it is, from 0.
    """

    examples: Any
    batch_size: int
    size: int
    index: int

    def __len__(self) -> int:
        return len(self.examples) // self.batch_size * self.size

    def __getitem__(self, position: int) -> Batch:
        batch, place = divmod(position, self.size)
        return self.examples[batch * self.batch_size + self.index * self.size + place]


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
