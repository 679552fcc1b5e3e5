"""Batches that the device makes of the photos that lie on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.data.batches import Round
from mattingjax.data.mixtures import create_order
from mattingjax.data.on_device.augmentation import Augment
from mattingjax.data.on_device.store import Loaded
from mattingjax.data.pipeline import check_state
from mattingjax.data.placement import Placement
from mattingjax.data.records import Dataset
from mattingjax.errors import MattingError


class DeviceBatches:
    """Batches of a store, made inside of the training step; see `data.batches.Batches`.

    Records come in the order in which a pipeline of the same dataset and seed takes them: through
    epochs, and mixed in proportion. A record that cannot be read always has the same substitute.
    How a photo is varied depends on the seed, the number of the step and the photo's place in the
    batch alone, and neither on how many steps are computed at once nor on the devices.

    Args:
      loaded: The photos; its store is put on every device.
      augment: Makes an example of a photo.
      dataset: The dataset that the store was made of.
      batch_size: Number of examples in a batch, over all devices.
      seed: Random seed of the order and of the augmentation, at least 0.
      most: The largest number of steps of a round.
      placement: The devices; each gets the whole store.

    Raises:
      MattingError: A number is out of range.
    """

    def __init__(
        self,
        loaded: Loaded,
        augment: Augment,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int,
        most: int,
        placement: Placement,
    ):
        for name, value in (('batch_size', batch_size), ('steps_per_dispatch', most)):
            if value < 1:
                raise MattingError(f'{name}: expected at least 1, got {value}')
        self.most = most
        self._augment = augment
        self._order = create_order(dataset, seed)
        self._identity = {'records': len(dataset), 'batch_size': batch_size, 'seed': seed}
        self._batch_size, self._step = batch_size, 0
        size = batch_size // jax.process_count()
        self._share = slice(jax.process_index() * size, (jax.process_index() + 1) * size)
        self._placement = placement
        # Another key than that of dropout, which is the seed's own.
        key = np.random.SeedSequence([seed, 1]).generate_state(2)
        self.held = placement.put((loaded.store, key), placement.everywhere)
        # The arrays in the host's memory are not needed any more.
        self._loaded = dataclasses.replace(loaded, store=self.held[0])
        self._compiled = jax.jit(self.make_batch, out_shardings=placement.everywhere)

    @property
    def unreadable(self) -> list[str]:
        return self._loaded.unreadable

    def make_batch(self, held: Any, arrays: Any, i: int | jax.Array) -> dict[str, jax.Array]:
        store, key = held
        key = jax.random.fold_in(jax.random.wrap_key_data(key), arrays['first'] + i)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self._batch_size))
        rows = arrays['rows'][i]
        batch = jax.vmap(self._augment, (None, 0, 0))(store, rows, keys)
        return jax.lax.with_sharding_constraint(batch, self._placement.along(0))

    def take(self, count: int) -> Round:
        taken = self._take(self._step, count)
        self._step += count
        return taken

    def peek(self) -> Any:
        return self._take(self._step, 1).arrays

    def _take(self, step: int, count: int) -> Round:
        """Finds the records of `count` steps, the first of which is step `step`."""
        size = self._batch_size
        positions = range(step * size, (step + count) * size)
        index = np.array([self._order[position] for position in positions]).reshape(count, size)
        # The rows of a shorter round are filled up: another shape would be another program.
        rows = np.pad(self._loaded.rows[index], ((0, self.most - count), (0, 0)))
        sharding = self._placement.along(1)
        arrays = {'rows': self._placement.put(rows, sharding), 'first': np.int32(step)}
        lost = self._loaded.lost[index[:, self._share]].sum(1)
        return Round(count, arrays, lost.tolist(), {'index': index})

    def read_batch(self, taken: Round, i: int) -> dict[str, Any]:
        batch = self._compiled(self.held, taken.arrays, i)
        index = taken.about['index'][i, self._share]
        names = [self._loaded.names[row] for row in self._loaded.rows[index]]
        own = {name: np.asarray(array)[self._share] for name, array in batch.items()}
        return {**own, 'index': index, 'name': names}

    def first_images(self, batches: int) -> Iterator[np.ndarray]:
        for step in range(batches):
            arrays = self._take(step, 1).arrays
            yield np.asarray(self._compiled(self.held, arrays, 0)['image'], np.float32)

    def get_state(self) -> dict[str, int]:
        return self._identity | {'step': self._step}

    def set_state(self, state: dict[str, int]) -> None:
        check_state(self._identity, state)
        self._step = int(state['step'])
