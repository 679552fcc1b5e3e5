"""The photos of an experiment: datasets and pipelines from its settings."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mattingjax.data.datasets import Dataset, open_dataset
from mattingjax.data.mixtures import mix_datasets
from mattingjax.data.pipeline import Pipeline, create_pipeline
from mattingjax.data.transforms import create_transform
from mattingjax.errors import MattingError

Example = dict[str, Any]
_OPTIONS = [name for name in inspect.signature(open_dataset).parameters if name != 'kind']


def open_configured(config: ConfigDict) -> Dataset:
    """The dataset that a section of the settings describes; see `config.dataset_config`."""
    return open_dataset(config.kind, **{name: config[name] for name in _OPTIONS})


def open_training(config: ConfigDict) -> dict[str, Dataset]:
    """The datasets that are trained on, by name: the first is 'dataset'."""
    sections = {'dataset': config.dataset, **config.more_datasets}
    opened = {}
    for name, section in sections.items():
        try:
            opened[name] = open_configured(section)
        except MattingError as error:
            raise MattingError(f'{name}: {error}') from error
    return opened


def create_batches(
    config: ConfigDict, datasets: dict[str, Dataset], size: int, *, trimap: bool
) -> Pipeline:
    """An endless iterator of batches; see `data.pipeline.create_pipeline`.

    Args:
      config: The experiment's settings.
      datasets: Those of `open_training`.
      size: Pixels of a side.
      trimap: Whether examples have one.

    Returns:
      Batches of this process's share of `batch_size`; `get_state` and `set_state` resume it.
    """
    sections = {'dataset': config.dataset, **config.more_datasets}
    parts = [(dataset, sections[name].weight) for name, dataset in datasets.items()]
    dataset = parts[0][0] if len(parts) == 1 else mix_datasets(parts)
    backgrounds = None
    if config.data.backgrounds:
        backgrounds = open_dataset('unlabelled', config.data.backgrounds)
    transform = create_transform(
        config.data.transform,
        size,
        backgrounds=backgrounds,
        recomposition=config.data.recomposition,
        trimap=trimap,
        keep_aspect=config.data.keep_aspect,
        close_ups=config.data.close_ups,
    )
    return create_pipeline(
        dataset,
        transform,
        batch_size=config.batch_size,
        seed=config.seed,
        workers=config.data.workers,
        shard_index=jax.process_index(),
        shard_count=jax.process_count(),
        on_error=config.data.on_error,
    )


def load_validation(config: ConfigDict, size: int) -> list[Example]:
    """The photos to validate on, in memory.

    Args:
      config: The experiment's settings.
      size: Pixels of a side.

    Returns:
      `image`, uint8 [S, S, 3], and, unless they are unlabelled, `alpha`, float32 [S, S], of each.

    Raises:
      MattingError: A photo cannot be read.
    """
    section = config.validation.copy_and_resolve_references()
    if not section.root and section.kind != 'synthetic':
        section.root = config.dataset.root
    dataset = open_configured(section)
    backgrounds = None
    if config.data.backgrounds:
        backgrounds = open_dataset('unlabelled', config.data.backgrounds)
    transform = create_transform('evaluation', size, backgrounds=backgrounds)
    step = -(-len(dataset) // section.photos)
    examples = []
    for index in range(0, len(dataset), step):
        example = transform(dataset[index], np.random.default_rng(index))
        if 'alpha' in example:
            example['alpha'] = example['alpha'][..., 0]
        examples.append(example)
    return examples
