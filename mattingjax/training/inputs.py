"""The photos of an experiment: its datasets, its batches, and the photos to validate on."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import math
from collections.abc import Iterator

from absl import logging
from ml_collections import ConfigDict

from mattingjax.config import HELD_OUT, dataset_config
from mattingjax.data.batches import Batches, PipelineBatches
from mattingjax.data.datasets import (
    Dataset,
    FileDataset,
    PackedDataset,
    SyntheticPortraits,
    describe_records,
    open_backgrounds,
    open_dataset,
)
from mattingjax.data.mixtures import mix_datasets
from mattingjax.data.on_device.augmentation import create_augmentation
from mattingjax.data.on_device.batches import DeviceBatches
from mattingjax.data.on_device.store import create_store
from mattingjax.data.pipeline import Pipeline, create_pipeline
from mattingjax.data.placement import Placement, create_placement
from mattingjax.data.records import choose_evenly
from mattingjax.data.transforms import Chain, create_transform
from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig, find_network
from mattingjax.process.progress import say
from mattingjax.training.memory import check_photos, photos_limit
from mattingjax.training.validation import Example, check_best, load_examples

_OPTIONS = [name for name in inspect.signature(open_dataset).parameters if name != 'kind']
# Settings of the dataset that hold for a validation without a root of its own.
_WHERE_AND_HOW = ('root', 'images', 'alphas', 'allow_unmatched', 'alpha_values')


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """The datasets of an experiment.

    Attributes:
      training: The datasets to train on, by name; the first is 'dataset'.
      backgrounds: Pictures for new compositions; None if there are none.
      validation: The dataset to validate on.
    """

    training: dict[str, Dataset]
    backgrounds: Dataset | None
    validation: Dataset

    def named(self) -> dict[str, Dataset]:
        """Returns all datasets by name."""
        backgrounds = {} if self.backgrounds is None else {'backgrounds': self.backgrounds}
        return {**self.training, **backgrounds, 'validation': self.validation}


def open_sources(config: ConfigDict) -> Sources:
    """Opens the datasets that the settings name; no photo is read yet.

    Args:
      config: The settings that `complete_settings` gave.

    Raises:
      MattingError: A dataset cannot be opened, or lacks alphas or backgrounds that are needed; the
        message names its settings.
    """
    if taken := set(config.more_datasets) & {'dataset', 'backgrounds', 'validation'}:
        raise MattingError(
            f'config.more_datasets.{min(taken)}: expected another name, this one is taken'
        )
    training = {'dataset': _open('config.dataset', config.dataset)}
    for name, section in config.more_datasets.items():
        training[name] = _open(f'config.more_datasets.{name}', section)
    backgrounds = None
    if config.data.backgrounds:
        with _named('config.data.backgrounds'):
            backgrounds = open_backgrounds(config.data.backgrounds)
    validation = config.validation.copy_and_resolve_references()
    if validation.kind == HELD_OUT:
        training['dataset'], held_out = _hold_out(training['dataset'], validation.photos)
    else:
        if not validation.root and validation.kind != 'synthetic':
            for name, default in dataset_config().items():
                if name in _WHERE_AND_HOW and validation[name] == default:
                    validation[name] = config.dataset[name]
        held_out = _open('config.validation', validation)
    sources = Sources(training, backgrounds, held_out)
    _check_records(sources, needs_alphas=max(config.loss.supervised, config.loss.laplacian) > 0)
    return sources


def _open(path: str, section: ConfigDict) -> Dataset:
    with _named(f'{path}.root (of {path}.kind={section.kind})'):
        return open_dataset(section.kind, **{name: section[name] for name in _OPTIONS})


@contextlib.contextmanager
def _named(setting: str) -> Iterator[None]:
    try:
        yield
    except MattingError as error:
        raise MattingError(f'{setting}: {error}') from error


def _hold_out(dataset: Dataset, photos: int) -> tuple[Dataset, Dataset]:
    """Splits off an evenly chosen tenth, at most `photos`, to validate on; returns it second."""
    count = min(photos, max(1, len(dataset) // 10))
    if isinstance(dataset, SyntheticPortraits):
        return dataset, SyntheticPortraits(count, dataset.size, dataset.seed + 1)
    assert isinstance(dataset, FileDataset | PackedDataset)
    if len(dataset) < 2:
        raise MattingError(
            'config.validation.kind=held_out: expected at least two records in config.dataset, one '
            f'of them to validate on, got {len(dataset)}; config.validation.root names others'
        )
    chosen = choose_evenly(len(dataset), count)
    rest = sorted(set(range(len(dataset))) - set(chosen))
    logging.warning(
        'validation: %d of the %d records of config.dataset are held out and not trained on; '
        'config.validation.root names others',
        count, len(dataset),
    )  # fmt: skip
    return dataset.select(rest), dataset.select(chosen)


def _check_records(sources: Sources, *, needs_alphas: bool) -> None:
    """Raises MattingError if photos lack the alphas or the backgrounds that they need."""
    for name, dataset in {**sources.training, 'validation': sources.validation}.items():
        is_more = name not in ('dataset', 'validation')
        setting = f'config.more_datasets.{name}' if is_more else f'config.{name}'
        lacks_alpha, has_cutouts = describe_records(dataset)
        if lacks_alpha and needs_alphas and name != 'validation':
            raise MattingError(
                f"{setting}: photos without alphas, which the network's own loss and the Laplacian "
                'loss need; set config.loss.supervised=0 and config.loss.laplacian=0, and '
                'config.loss.distillation or config.loss.soc over 0'
            )
        if has_cutouts and sources.backgrounds is None:
            raise MattingError(
                f'{setting}: cut-outs need config.data.backgrounds, a folder of pictures'
            )


def with_steps(config: ConfigDict, sources: Sources) -> ConfigDict:
    """Returns the settings, with `steps` computed from `epochs` and the number of photos if set."""
    if not config.epochs:
        return config
    config = config.copy_and_resolve_references()
    photos = sum(map(len, sources.training.values()))
    config.steps = math.ceil(config.epochs * photos / config.batch_size)
    return config


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """The photos of a training, opened and checked; its folder is not touched yet.

    Attributes:
      batches: The batches, spread over the devices.
      placement: The devices.
      examples: The photos to validate on.
      unreadable: The error messages of the validation photos that could not be read.
    """

    batches: Batches
    placement: Placement
    examples: list[Example]
    unreadable: list[str]


def create_inputs(config: ConfigDict, network: ModelConfig, sources: Sources) -> Inputs:
    """Makes the first batches, or puts all photos on the device, and loads those to validate on.

    Args:
      config: The settings that `complete_settings` gave.
      network: The network that is trained.
      sources: The datasets that `open_sources` gave.

    Raises:
      MattingError: Photos cannot be read or do not fit into memory, or those of the validation lack
        the figure by which the best network is chosen.
    """
    if config.data.steps_per_dispatch > 1 and not config.data.on_device:
        raise MattingError(
            'config.data.steps_per_dispatch: expected 1 without config.data.on_device=True, got '
            f'{config.data.steps_per_dispatch}'
        )
    check_photos(config, network, len(sources.validation))
    placement = create_placement()
    trimap = find_network(network.network).needs_trimap and config.loss.supervised > 0
    pipeline = None
    if not config.data.on_device:  # its workers begin while the photos to validate on are read
        create = functools.partial(
            create_batches, config, sources, network.input_size, trimap=trimap
        )
        pipeline = PipelineBatches(create, placement)
    examples, unreadable = load_examples(
        sources.validation,
        sources.backgrounds,
        network.input_size,
        config.validation.photos,
        on_error=config.data.on_error,
    )
    check_best(config.validation.best, examples)
    batches: PipelineBatches | DeviceBatches
    if pipeline is None:
        batches = _put_on_device(config, sources, network.input_size, placement, trimap=trimap)
    else:
        batches = pipeline
        pipeline.fill()
    return Inputs(batches, placement, examples, unreadable)


def _put_on_device(
    config: ConfigDict, sources: Sources, size: int, placement: Placement, *, trimap: bool
) -> DeviceBatches:
    """Reads all photos and backgrounds and puts them on each device."""
    dataset = _mix(config, sources)
    with _named('config.data'):
        loaded = create_store(
            dataset,
            sources.backgrounds,
            side=config.data.side,
            size=size,
            limit=photos_limit(),
            workers=config.data.workers,
            on_error=config.data.on_error,
        )
    say(f'{len(loaded.names)} photos on the device: {loaded.size / 2**20:,.0f} MiB')
    return DeviceBatches(
        loaded,
        create_augmentation(_create_transform(config, sources, size, trimap=trimap)),
        dataset,
        batch_size=config.batch_size,
        seed=config.seed,
        most=config.data.steps_per_dispatch,
        placement=placement,
    )


def create_batches(
    config: ConfigDict,
    sources: Sources,
    size: int,
    shard_index: int = 0,
    shard_count: int = 1,
    *,
    trimap: bool,
) -> Pipeline:
    """Makes an endless iterator of batches; `data.pipeline.create_pipeline` says what is in them.

    Args:
      config: The settings that `complete_settings` gave.
      sources: The datasets that `open_sources` gave.
      size: The side in pixels to which photos are resized or cropped.
      shard_index: Which of the `shard_count` equal parts of each batch is made, from 0.
      shard_count: The number of these parts.
      trimap: Whether examples get a trimap.

    Returns:
      The pipeline. A batch holds its part of `batch_size` photos.
    """
    return create_pipeline(
        _mix(config, sources),
        _create_transform(config, sources, size, trimap=trimap),
        batch_size=config.batch_size,
        seed=config.seed,
        workers=config.data.workers,
        shard_index=shard_index,
        shard_count=shard_count,
        on_error=config.data.on_error,
    )


def _mix(config: ConfigDict, sources: Sources) -> Dataset:
    """Makes one dataset of those to train on, by their weights."""
    sections = {'dataset': config.dataset, **config.more_datasets}
    parts = [(dataset, sections[name].weight) for name, dataset in sources.training.items()]
    return parts[0][0] if len(parts) == 1 else mix_datasets(parts)


def _create_transform(config: ConfigDict, sources: Sources, size: int, *, trimap: bool) -> Chain:
    return create_transform(
        config.data.transform,
        size,
        backgrounds=sources.backgrounds,
        recomposition=config.data.recomposition,
        trimap=trimap,
        keep_aspect=config.data.keep_aspect,
        close_ups=config.data.close_ups,
        close_up_scale=config.data.close_up_scale,
    )
