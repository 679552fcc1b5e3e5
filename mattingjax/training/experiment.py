"""From settings to values: network, teacher, objective, optimizer, and when what is done."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from mattingjax.checkpoints import Checkpoint, hash_checkpoint, load_checkpoint
from mattingjax.errors import MattingError
from mattingjax.networks import (
    ModelConfig,
    Variables,
    check_backend,
    create_model_config,
    find_network,
    init_variables,
    with_dropout,
)
from mattingjax.pruning import (
    Limits,
    channel_groups,
    select_uniform,
    with_widths,
)
from mattingjax.training.memory import check_network
from mattingjax.training.objective import Objective
from mattingjax.training.optimizers import (
    CreateOptimizer,
    LearningRates,
    create_optimizer,
    create_schedule,
)
from mattingjax.training.state import TrainState, create_state, split, with_frozen
from mattingjax.training.steps import StepInputs, StepOptions, check_layers
from mattingjax.training.thinning import Thinning

START, TEACHER = 'model.checkpoint', 'loss.teacher'  # settings that name a checkpoint


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """What the settings of a training mean; whoever has it needs no settings any more.

    Attributes:
      initial: The network before the first step.
      teacher: The network that is learned from, if there is one.
      objective: What is made small.
      learning_rates: The learning rate of each update.
      create_optimizer: Makes what updates the parameters from a learning rate by update.
      step_options: How a step is computed.
      thinning: When channels go in the course of the training.
      freeze: Patterns of the paths of the parameters that stay as they are.
      seed: The random seed of the order of the data, of augmentation and of dropout.
      steps: The number of steps of the whole training.
      batch_size: The number of photos of a step, over all devices.
      accumulate_steps: The number of steps of one update.
      validate_every: The number of steps from one validation to the next.
      save_every: The number of steps from one saved state to the next.
      best: The name of the figure of the validation that decides which network is the best.
      hashes: SHA-256 of the checkpoints that were loaded, by the setting that names them.
      origin: How the trained network comes to be, for its provenance, as JSON types: `settings`;
        `start` and `teacher`, where there are any, each with its `checkpoint`, the `sha256` of that
        (see `hash_checkpoint`) and its `provenance`.
    """

    initial: Checkpoint
    teacher: Checkpoint | None
    objective: Objective
    learning_rates: LearningRates
    create_optimizer: CreateOptimizer
    step_options: StepOptions
    thinning: Thinning
    freeze: tuple[str, ...]
    seed: int
    steps: int
    batch_size: int
    accumulate_steps: int
    validate_every: int
    save_every: int
    best: str
    hashes: Mapping[str, str]
    origin: Mapping[str, Any]

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step; the first is step 0."""
        return float(self.learning_rates[step // self.accumulate_steps])

    def step_inputs(self, step: int) -> StepInputs:
        """What a step gets beside state and batch; the first is step 0."""
        return StepInputs(np.float32(self.learning_rate(step)), self._key)

    @functools.cached_property
    def _key(self) -> np.ndarray:
        return np.asarray(jax.random.key_data(jax.random.key(self.seed)))

    def create_state(self, variables: Variables) -> TrainState:
        """The state before the first step of a network with these variables."""
        # The state of the optimizer is the same whatever the learning rate is.
        optimizer = self.create_optimizer(optax.constant_schedule(0.0))
        averaged = self.step_options.ema_decay > 0
        return create_state(variables, optimizer, freeze=self.freeze, averaged=averaged)


def create_experiment(config: ConfigDict) -> Experiment:
    """Loads the networks and makes values of the settings.

    Args:
      config: The settings, complete; see `complete_settings`.

    Raises:
      MattingError: Settings do not fit together, or a checkpoint cannot be loaded.
    """
    check_backend()
    if config.batch_size % jax.device_count():
        raise MattingError(
            f'config.batch_size: expected a multiple of the {jax.device_count()} devices, got '
            f'{config.batch_size}'
        )
    thinning = Thinning.from_settings(config.pruning, config.steps)
    paths = {START: config.model.checkpoint, TEACHER: config.loss.teacher}
    loaded = {setting: _load(setting, path) for setting, path in paths.items() if path}
    hashes = {setting: hash_checkpoint(checkpoint) for setting, checkpoint in loaded.items()}
    initial = _make_initial(config, loaded.get(START))
    split(initial.variables['params'], config.model.freeze)  # checks the patterns
    names = ('supervised', 'distillation', 'soc', 'l2', 'divide_twice')
    objective = Objective(
        initial.config.network,
        **{name: config.loss[name] for name in names},
        features=tuple(config.loss.features),
    )
    teacher = _choose_teacher(objective, initial, loaded.get(TEACHER))
    for network in filter(None, (initial, teacher)):
        check_layers(network.config, objective.features)
    accumulate_steps = config.optimizer.accumulate_steps
    return Experiment(
        initial=initial,
        teacher=teacher,
        objective=objective,
        learning_rates=LearningRates(
            create_schedule(config.optimizer, -(-config.steps // accumulate_steps))
        ),
        create_optimizer=functools.partial(create_optimizer, config.optimizer),
        step_options=StepOptions(config.optimizer.ema_decay, config.dtype),
        thinning=thinning,
        freeze=tuple(config.model.freeze),
        seed=config.seed,
        steps=config.steps,
        batch_size=config.batch_size,
        accumulate_steps=accumulate_steps,
        validate_every=config.validation.every_steps,
        save_every=config.save_every_steps,
        best=config.validation.best,
        hashes=hashes,
        origin=_describe_origin(config, paths, loaded, hashes),
    )


def _load(setting: str, path: str) -> Checkpoint:
    try:
        return load_checkpoint(path)
    except MattingError as error:
        raise MattingError(f'config.{setting}: {error}') from error


def _describe_origin(
    config: ConfigDict,
    paths: Mapping[str, str],
    loaded: Mapping[str, Checkpoint],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    origin: dict[str, Any] = {'settings': config.to_dict()}
    for role, setting in (('start', START), ('teacher', TEACHER)):
        if setting in loaded:
            origin[role] = {
                'checkpoint': paths[setting],
                'sha256': hashes[setting],
                'provenance': loaded[setting].config.provenance,
            }
    return origin


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
    objective: Objective, initial: Checkpoint, loaded: Checkpoint | None
) -> Checkpoint | None:
    if objective.distillation:
        if loaded is None:
            raise MattingError(
                'config.loss.teacher: expected a checkpoint to distil from, got none'
            )
        return loaded
    if loaded is not None or objective.features:
        raise MattingError(
            'config.loss.teacher, config.loss.features: only with config.loss.distillation over 0'
        )
    return initial if objective.soc else None
