"""Which record comes when: shuffled anew in each epoch, and from several datasets in proportion."""

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
    """Several datasets of which a pipeline draws in given proportions.

    By number it is the one after another. In a pipeline each is shuffled and repeated by itself;
    an epoch has as many examples as all have records.

    Attributes:
      weights: One for each part, over 0; only their ratios count.
    """

    weights: tuple[float, ...]


def mix_datasets(parts: Sequence[tuple[Dataset, float]]) -> MixedDataset:
    """Datasets with their weights, as one that `create_pipeline` draws from in proportion.

    Raises:
      MattingError: There is no part, or one has no records or a weight that is not over 0.
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


def create_order(dataset: Dataset, seed: int, shuffle: bool, epochs: int | None) -> Any:
    """The numbers of the records in the order in which they come.

    Args:
      dataset: One dataset, or several from `mix_datasets`.
      seed: Of the order, at least 0.
      shuffle: Whether it is random.
      epochs: How often each record comes, in a mixture on average; None for no end.

    Returns:
      A `grain.MapDataset` of integers.
    """
    grain = import_grain()
    parts = dataset.parts if isinstance(dataset, MixedDataset) else (dataset,)
    seeds = np.random.SeedSequence(seed).generate_state(len(parts))
    orders, start = [], 0
    for part, part_seed in zip(parts, seeds, strict=True):
        order = grain.MapDataset.range(start, start + len(part))
        start += len(part)
        # Not the seed itself: Grain's epoch 1 of seed 0 has the order of epoch 0 of seed 1.
        orders.append(order.shuffle(int(part_seed)) if shuffle else order)
    if not isinstance(dataset, MixedDataset):
        return orders[0].repeat(epochs)
    mixture = grain.MapDataset.mix([order.repeat() for order in orders], dataset.weights)
    return mixture if epochs is None else mixture[: epochs * len(dataset)]


def import_grain() -> ModuleType:
    """The package grain, without its remark on the profiler of older versions of jaxlib."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        import grain
    finally:
        logging.set_verbosity(verbosity)
    return grain
