"""The order of the records in training: shuffled in each epoch, or mixed from several datasets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from absl import logging

from mattingjax.data.datasets import ConcatDataset
from mattingjax.data.records import Dataset
from mattingjax.errors import MattingError


@dataclasses.dataclass(frozen=True)
class MixedDataset(ConcatDataset):
    """Several datasets from which a pipeline draws in given proportions.

    Indexed, it is a `ConcatDataset`. In a pipeline each part is shuffled and repeated on its own.

    Attributes:
      weights: How often records of each part come, over 0; only the ratios count.
    """

    weights: tuple[float, ...]


def mix_datasets(parts: Sequence[tuple[Dataset, float]]) -> MixedDataset:
    """Makes one dataset of several, from which `create_pipeline` draws in proportion.

    Args:
      parts: Each dataset with its weight, over 0; only the ratios of the weights count.

    Raises:
      MattingError: There is no part, or a part has no records or a weight that is not over 0.
    """
    if not parts:
        raise MattingError('mixture: expected at least one dataset, got none')
    for i, (dataset, weight) in enumerate(parts):
        if not len(dataset):
            raise MattingError(f'mixture: dataset {i} has no records')
        if not weight > 0:
            raise MattingError(f'mixture: weight {i}: expected a number over 0, got {weight}')
    datasets, weights = zip(*parts, strict=True)
    return MixedDataset(datasets, weights)


def create_order(dataset: Dataset, seed: int) -> Any:
    """Draws the order in which the records come, epoch after epoch without an end.

    Args:
      dataset: Any dataset; one of `mix_datasets` is drawn from in proportion.
      seed: Random seed of the order, at least 0.

    Returns:
      A `grain.MapDataset` of the records' numbers.
    """
    grain = import_grain()
    parts = dataset.parts if isinstance(dataset, MixedDataset) else (dataset,)
    seeds = np.random.SeedSequence(seed).generate_state(len(parts))
    orders, start = [], 0
    for part, part_seed in zip(parts, seeds, strict=True):
        order = grain.MapDataset.range(start, start + len(part))
        start += len(part)
        # Not `seed` itself: Grain's epoch 1 of seed 0 has the order of epoch 0 of seed 1.
        orders.append(order.shuffle(int(part_seed)).repeat())
    if not isinstance(dataset, MixedDataset):
        return orders[0]
    return grain.MapDataset.mix(orders, dataset.weights)


def import_grain() -> ModuleType:
    """Imports the package grain without its warning about the profiler of older jaxlibs."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        import grain
    finally:
        logging.set_verbosity(verbosity)
    return grain
