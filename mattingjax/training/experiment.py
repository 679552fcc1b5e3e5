"""An experiment: the networks, the objective, the optimizer and the schedule that settings mean."""

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
    """What the settings of a training mean; the loop reads no settings but this.

    Attributes:
      initial: The network before the first step.
      teacher: The network whose outputs are the targets of distillation or self-consistency; None
        if there is none.
      objective: The loss that is minimised.
      learning_rates: The learning rate of each update.
      create_optimizer: Makes the optimizer from a schedule of the learning rate.
      step_options: How a step is computed.
      thinning: When channels are pruned during the training.
      freeze: Patterns of the paths of the parameters that are not trained.
      seed: The random seed of the order of the data, of augmentation and of dropout.
      steps: The number of steps of the whole training.
      batch_size: The number of photos of a step, over all devices.
      accumulate_steps: The number of steps whose gradients are averaged for one update.
      validate_every: The number of steps from one validation to the next.
      save_every: The number of steps from one saved state to the next.
      best: The name of the validation figure that decides which network is the best.
      hashes: SHA-256 of the checkpoints that were loaded, by the setting that names them.
      origin: The provenance of the trained network as JSON types: `settings`, and for each of
        `start` and `teacher` that exists its `checkpoint`, that one's `sha256` by
        `hash_checkpoint`, and its `provenance`.
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
        """Returns the learning rate of a step; the first is step 0."""
        return float(self.learning_rates[step // self.accumulate_steps])

    def step_inputs(self, step: int, count: int, most: int) -> StepInputs:
        """Returns what steps take beside the state and their batches, as `create_dispatch` says.

        Args:
          step: The first of them; the first of a training is step 0.
          count: The number of steps.
          most: The number of learning rates; those beyond `count` are 0.
        """
        rates = np.zeros(most, np.float32)
        rates[:count] = [self.learning_rate(step + i) for i in range(count)]
        return StepInputs(rates, self._key)

    @functools.cached_property
    def _key(self) -> np.ndarray:
        return np.asarray(jax.random.key_data(jax.random.key(self.seed)))

    def create_state(self, variables: Variables) -> TrainState:
        """Makes the state before the first step of a network with these variables."""
        # The first state of the optimizer does not depend on the learning rate.
        optimizer = self.create_optimizer(optax.constant_schedule(0.0))
        averaged = self.step_options.ema_decay > 0
        return create_state(variables, optimizer, freeze=self.freeze, averaged=averaged)


def create_experiment(config: ConfigDict) -> Experiment:
    """Loads the networks and turns the settings into values.

    Args:
      config: The settings that `complete_settings` gave.

    Raises:
      MattingError: Settings do not fit together, a checkpoint cannot be loaded, or the network does
        not fit into memory.
      ConfigError: JAX has no backend.
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
    split(initial.variables['params'], config.model.freeze)  # raises if a pattern is wrong
    names = ('supervised', 'distillation', 'soc', 'laplacian', 'l2')
    objective = Objective(
        initial.config.network,
        **{name: config.loss[name] for name in names},
        features=tuple(config.loss.features),
        switches=tuple(name for name, value in config.loss.items() if value is True),
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
    """Makes the network before the first step; `loaded` is what `model.checkpoint` names."""
    model = config.model
    if model.dropout and not find_network(model.network).has_dropout:
        raise MattingError(f'config.model.dropout: {model.network} has no dropout')
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
    """Describes the network of `config.model`, with its width multiplier."""
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
