"""The photos of an experiment: datasets and pipelines from its settings."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from mattingjax.config import HELD_OUT, dataset_config
from mattingjax.data.datasets import (
    Dataset,
    FileDataset,
    SyntheticPortraits,
    describe_records,
    open_dataset,
)
from mattingjax.data.mixtures import mix_datasets
from mattingjax.data.pipeline import Pipeline, create_pipeline
from mattingjax.data.records import RecordError, choose_evenly
from mattingjax.data.transforms import create_transform
from mattingjax.errors import MattingError
from mattingjax.process.progress import show_progress

Example = dict[str, Any]
_OPTIONS = [name for name in inspect.signature(open_dataset).parameters if name != 'kind']
# What a validation without a root of its own has in common with the dataset.
_WHERE_AND_HOW = ('root', 'images', 'alphas', 'allow_unmatched', 'alpha_values')


def open_configured(config: ConfigDict) -> Dataset:
    """The dataset that a section of the settings describes; see `config.dataset_config`."""
    return open_dataset(config.kind, **{name: config[name] for name in _OPTIONS})


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """Where the photos of an experiment lie.

    Attributes:
      training: Datasets that are trained on, by name: the first is 'dataset'.
      backgrounds: Pictures for new compositions, if any.
      validation: What is validated on.
    """

    training: dict[str, Dataset]
    backgrounds: Dataset | None
    validation: Dataset

    def named(self) -> dict[str, Dataset]:
        """All of them, by name."""
        backgrounds = {} if self.backgrounds is None else {'backgrounds': self.backgrounds}
        return {**self.training, **backgrounds, 'validation': self.validation}


def open_sources(config: ConfigDict) -> Sources:
    """Opens what the settings name; no photo is read yet.

    Args:
      config: The experiment's settings, complete.

    Raises:
      MattingError: A dataset cannot be opened; the message names its settings.
    """
    sections = _sections(config)
    taken = set(config.more_datasets) & {'dataset', 'backgrounds', 'validation'}
    if taken:
        raise MattingError(
            f'config.more_datasets.{min(taken)}: expected another name, this one is taken'
        )
    training = {name: _open(path, section) for name, (path, section) in sections.items()}
    backgrounds = None
    if config.data.backgrounds:
        with _named('config.data.backgrounds'):
            backgrounds = open_dataset('unlabelled', config.data.backgrounds)
    validation = config.validation.copy_and_resolve_references()
    if validation.kind == HELD_OUT:
        training['dataset'], held_out = _hold_out(training['dataset'], validation.photos)
        return Sources(training, backgrounds, held_out)
    if not validation.root and validation.kind != 'synthetic':
        for name, default in dataset_config().items():
            if name in _WHERE_AND_HOW and validation[name] == default:
                validation[name] = config.dataset[name]
    return Sources(training, backgrounds, _open('config.validation', validation))


def _sections(config: ConfigDict) -> dict[str, tuple[str, ConfigDict]]:
    """What is trained on: its setting's path and the section there, by name."""
    more = {
        name: (f'config.more_datasets.{name}', section)
        for name, section in config.more_datasets.items()
    }
    return {'dataset': ('config.dataset', config.dataset), **more}


def _open(path: str, section: ConfigDict) -> Dataset:
    with _named(f'{path}.root (of {path}.kind={section.kind})'):
        return open_configured(section)


@contextlib.contextmanager
def _named(setting: str) -> Iterator[None]:
    try:
        yield
    except MattingError as error:
        raise MattingError(f'{setting}: {error}') from error


def _hold_out(dataset: Dataset, photos: int) -> tuple[Dataset, Dataset]:
    """What remains to train on, and an evenly chosen tenth to validate on, at most `photos`."""
    count = min(photos, max(1, len(dataset) // 10))
    if isinstance(dataset, SyntheticPortraits):
        return dataset, SyntheticPortraits(count, dataset.size, dataset.seed + 1)
    assert isinstance(dataset, FileDataset)
    if len(dataset) < 2:
        raise MattingError(
            'config.validation.kind=held_out: expected at least two records in config.dataset, one '
            f'of them to validate on, got {len(dataset)}; config.validation.root names others'
        )
    chosen = set(choose_evenly(len(dataset), count))
    rest, held_out = (
        dataclasses.replace(
            dataset,
            entries=tuple(e for i, e in enumerate(dataset.entries) if (i in chosen) == is_chosen),
        )
        for is_chosen in (False, True)
    )
    logging.warning(
        'validation: %d of the %d records of config.dataset are held out and not trained on; '
        'config.validation.root names others',
        count, len(dataset),
    )  # fmt: skip
    return rest, held_out


def check_sources(config: ConfigDict, sources: Sources) -> None:
    """Raises MattingError if what is trained on lacks what its losses and transforms need."""
    sections = _sections(config)
    for name, dataset in sources.training.items():
        setting = sections[name][0]
        lacks_alpha, has_cutouts = describe_records(dataset)
        if lacks_alpha and config.loss.supervised:
            raise MattingError(
                f"{setting}: photos without alphas, which the network's own loss needs; set "
                'config.loss.supervised=0, and config.loss.distillation or config.loss.soc over 0'
            )
        if has_cutouts and sources.backgrounds is None:
            raise MattingError(
                f'{setting}: cut-outs need config.data.backgrounds, a folder of pictures'
            )
    _, has_cutouts = describe_records(sources.validation)
    if has_cutouts and sources.backgrounds is None:
        raise MattingError(
            'config.validation: cut-outs need config.data.backgrounds, a folder of pictures'
        )


def with_steps(config: ConfigDict, sources: Sources) -> ConfigDict:
    """The settings with `epochs` as steps, if they are set: all photos come so often."""
    if not config.epochs:
        return config
    config = config.copy_and_resolve_references()
    photos = sum(map(len, sources.training.values()))
    config.steps = math.ceil(config.epochs * photos / config.batch_size)
    return config


def create_batches(config: ConfigDict, sources: Sources, size: int, *, trimap: bool) -> Pipeline:
    """An endless iterator of batches; see `data.pipeline.create_pipeline`.

    Args:
      config: The experiment's settings.
      sources: Those of `open_sources`.
      size: Pixels of a side.
      trimap: Whether examples have one.

    Returns:
      Batches of this process's share of `batch_size`; `get_state` and `set_state` resume it.
    """
    sections = _sections(config)
    parts = [(dataset, sections[name][1].weight) for name, dataset in sources.training.items()]
    dataset = parts[0][0] if len(parts) == 1 else mix_datasets(parts)
    transform = create_transform(
        config.data.transform,
        size,
        backgrounds=sources.backgrounds,
        recomposition=config.data.recomposition,
        trimap=trimap,
        keep_aspect=config.data.keep_aspect,
        close_ups=config.data.close_ups,
        close_up_scale=config.data.close_up_scale,
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


def load_validation(
    config: ConfigDict, sources: Sources, size: int
) -> tuple[list[Example], list[str]]:
    """The photos to validate on, in memory.

    Args:
      config: The experiment's settings.
      sources: Those of `open_sources`.
      size: Pixels of a side.

    Returns:
      `image`, uint8 [S, S, 3], and, unless they are unlabelled, `alpha`, float32 [S, S], of each;
      and what was said of photos that could not be read and are left out.

    Raises:
      MattingError: No photo can be read, or with `data.on_error` 'raise' one cannot.
    """
    dataset = sources.validation
    transform = create_transform('evaluation', size, backgrounds=sources.backgrounds)
    examples, unreadable = [], []
    chosen = choose_evenly(len(dataset), config.validation.photos)
    for index in show_progress(chosen, unit='photo', description='reading the validation'):
        try:
            example = transform(dataset[index], np.random.default_rng(index))
        except RecordError as error:
            if config.data.on_error == 'raise':
                raise
            unreadable.append(str(error))
            logging.warning('validation: %s; left out', error)
            continue
        if 'alpha' in example:
            example['alpha'] = example['alpha'][..., 0]
        examples.append(example)
    if not examples:
        raise MattingError(f'config.validation: no photo can be read, the first: {unreadable[0]}')
    return examples, unreadable
