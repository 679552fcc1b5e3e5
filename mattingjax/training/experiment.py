"""From settings to what a training needs: network, teacher, objective, optimizer."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mattingjax.checkpoints import Checkpoint, hash_checkpoint, load_checkpoint
from mattingjax.errors import MattingError
from mattingjax.networks import (
    ModelConfig,
    check_backend,
    create_model_config,
    find_network,
    init_variables,
    with_dropout,
)
from mattingjax.pruning import (
    Limits,
    channel_groups,
    restore_batch_norm,
    select_uniform,
    with_widths,
)
from mattingjax.training import thinning
from mattingjax.training.capacity import check_network
from mattingjax.training.inputs import Sources, create_batches
from mattingjax.training.objective import Objective
from mattingjax.training.optimizers import (
    CreateOptimizer,
    LearningRates,
    create_optimizer,
    create_schedule,
)
from mattingjax.training.settings import complete_settings
from mattingjax.training.state import split, with_frozen
from mattingjax.training.steps import StepInputs, StepOptions, check_layers

START, TEACHER = 'model.checkpoint', 'loss.teacher'  # settings that name a checkpoint
_STATISTICS_PHOTOS = 32  # to restore folded batch normalisation on


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """What settings mean.

    Attributes:
      config: The settings, complete.
      initial: The network before the first step.
      teacher: The network that is learned from, if any.
      objective: What is made small.
      learning_rates: By update.
      create_optimizer: Makes what updates the parameters from a learning rate by update.
      options: How a step is computed.
      hashes: SHA-256 of the checkpoints that were loaded, by the setting that names them.
    """

    config: ConfigDict
    initial: Checkpoint
    teacher: Checkpoint | None
    objective: Objective
    learning_rates: LearningRates
    create_optimizer: CreateOptimizer
    options: StepOptions
    hashes: Mapping[str, str]

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step; the first is step 0."""
        return float(self.learning_rates[step // self.config.optimizer.accumulate_steps])

    def step_inputs(self, step: int) -> StepInputs:
        """What a step gets beside state and batch; the first is step 0."""
        return StepInputs(np.float32(self.learning_rate(step)), self._seed)

    @functools.cached_property
    def _seed(self) -> np.ndarray:
        return np.asarray(jax.random.key_data(jax.random.key(self.config.seed)))


def create_experiment(config: ConfigDict) -> Experiment:
    """Checks the settings and loads the networks.

    Raises:
      MattingError: A setting is impossible, or a checkpoint cannot be loaded.
    """
    config = complete_settings(config)
    _check_devices(config)
    thinning.check(config.pruning, config.steps)
    loaded = {
        name: _load(name, path)
        for name, path in (
            (START, config.model.checkpoint),
            (TEACHER, config.loss.teacher),
        )
        if path
    }
    initial = _make_initial(config, loaded.get(START))
    split(initial.variables['params'], config.model.freeze)  # checks the patterns
    names = ('supervised', 'distillation', 'soc', 'l2', 'divide_twice')
    objective = Objective(
        initial.config.network,
        **{name: config.loss[name] for name in names},
        features=tuple(config.loss.features),
    )
    updates = -(-config.steps // max(1, config.optimizer.accumulate_steps))
    schedule = create_schedule(config.optimizer, updates)
    experiment = Experiment(
        config,
        initial,
        _choose_teacher(config, objective, initial, loaded.get(TEACHER)),
        objective,
        LearningRates(schedule),
        functools.partial(create_optimizer, config.optimizer),
        StepOptions(config.optimizer.ema_decay, config.dtype),
        {name: hash_checkpoint(checkpoint) for name, checkpoint in loaded.items()},
    )
    if objective.features:
        for network in (initial.config, experiment.teacher and experiment.teacher.config):
            if network:
                check_layers(network, objective.features)
    return experiment


def _load(setting: str, path: str) -> Checkpoint:
    try:
        return load_checkpoint(path)
    except MattingError as error:
        raise MattingError(f'config.{setting}: {error}') from error


def _check_devices(config: ConfigDict) -> None:
    check_backend()
    if config.batch_size % jax.device_count():
        raise MattingError(
            f'config.batch_size: expected a multiple of the {jax.device_count()} devices, got '
            f'{config.batch_size}'
        )


def _make_initial(config: ConfigDict, loaded: Checkpoint | None) -> Checkpoint:
    """The network before the first step; `loaded` is what `model.checkpoint` names."""
    model = config.model
    if model.dropout and not find_network(model.network).has_dropout:
        raise MattingError(f'config.model.dropout: {model.network} drops no values')
    if loaded is None:
        if model.from_scratch:
            raise MattingError(
                'config.model.from_scratch: needs config.model.checkpoint, whose widths it takes'
            )
        network = with_dropout(_create_network(model), model.dropout)
        check_network(network)
        return Checkpoint(network, init_variables(network, config.seed))
    network = loaded.config
    if model.input_size:
        network = dataclasses.replace(network, input_size=model.input_size)
    network = with_dropout(network, model.dropout)
    if not model.from_scratch:
        return Checkpoint(network, loaded.variables)
    drawn = init_variables(network, config.seed)
    return Checkpoint(network, with_frozen(drawn, loaded.variables, model.freeze))


def _create_network(model: ConfigDict) -> ModelConfig:
    """The network of `config.model`, at its width multiplier."""
    scale, multiplier = find_network(model.network).scale, model.width_multiplier
    architecture = scale(multiplier) if scale else None
    network = create_model_config(model.network, architecture, input_size=model.input_size or None)
    if scale or multiplier == 1:
        return network
    if multiplier > 1:
        raise MattingError(
            f'config.model.width_multiplier: expected at most 1 for {model.network}, got '
            f'{multiplier}'
        )
    limits = Limits(round_to=8, min_channels=8)
    return with_widths(network, select_uniform(channel_groups(network), 1 - multiplier, limits))


def _choose_teacher(
    config: ConfigDict, objective: Objective, initial: Checkpoint, loaded: Checkpoint | None
) -> Checkpoint | None:
    if objective.distillation:
        if loaded is None:
            raise MattingError(
                'config.loss.teacher: expected a checkpoint to distil from, got none'
            )
        return loaded
    if loaded is not None or config.loss.features:
        raise MattingError(
            'config.loss.teacher, config.loss.features: only with config.loss.distillation over 0'
        )
    return initial if objective.soc else None


def restore_folded(experiment: Experiment, sources: Sources) -> Checkpoint:
    """The initial network, batch normalisation that was folded in made true again.

    Imported weights may have it folded into their kernels; such layers would train without it.
    """
    config, size = experiment.config, experiment.initial.config.input_size
    network, variables = experiment.initial.config, experiment.initial.variables

    def photos() -> Any:
        batches = create_batches(config, sources, size, trimap=False)
        count = -(-_STATISTICS_PHOTOS // config.batch_size)
        for batch in itertools.islice(batches, count):
            yield batch['image'].astype(np.float32)

    return Checkpoint(network, restore_batch_norm(network, variables, photos()))


def describe_origin(experiment: Experiment) -> dict[str, Any]:
    """How a trained network came to be, for its provenance.

    Args:
      experiment: What it was trained by.

    Returns:
      JSON types: `settings`; `start` and `teacher`, where there are any, each with its
      `checkpoint`, the `sha256` of that (see `hash_checkpoint`) and its `provenance`.
    """
    config = experiment.config
    origin: dict[str, Any] = {'settings': config.to_dict()}
    for role, setting, path, network in (
        ('start', START, config.model.checkpoint, experiment.initial),
        ('teacher', TEACHER, config.loss.teacher, experiment.teacher),
    ):
        if path and network is not None:
            origin[role] = {
                'checkpoint': path,
                'sha256': experiment.hashes[setting],
                'provenance': network.config.provenance,
            }
    return origin
