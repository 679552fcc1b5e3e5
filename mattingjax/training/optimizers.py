"""Optax optimizers from settings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optax
from ml_collections import ConfigDict

from mattingjax.errors import MattingError

OPTIMIZERS = ('adam', 'adamw', 'sgd')
SCHEDULES = ('constant', 'step', 'cosine')
_BLOCK = 4096  # learning rates that are computed at once

# Makes an optimizer from a learning rate by update.
CreateOptimizer = Callable[[optax.Schedule], optax.GradientTransformation]


def create_schedule(config: ConfigDict, steps: int) -> optax.Schedule:
    """The learning rate by step.

    Args:
      config: `learning_rate`, `schedule`, `warmup_steps` and, for 'step', `decays` and
        `decay_factor`; each as `training.rules` says.
      steps: Updates of the whole training.

    Returns:
      'constant': the learning rate. 'step': times `decay_factor` at `decays` equal distances, so
      that 3 decays make four stretches. 'cosine': down to 0 along half a cosine. Each rises from 0
      in a straight line during the warm-up.

    Raises:
      MattingError: The warm-up is as long as the training.
    """
    rate, warmup = config.learning_rate, config.warmup_steps
    if not warmup < steps:
        raise MattingError(
            f'config.optimizer.warmup_steps: expected less than the {steps} updates of the '
            f'training, got {warmup}'
        )
    if config.schedule == 'constant':
        schedule = optax.constant_schedule(rate)
    elif config.schedule == 'step':
        stretch = steps / (config.decays + 1)
        boundaries = {round(stretch * i): config.decay_factor for i in range(1, config.decays + 1)}
        schedule = optax.piecewise_constant_schedule(rate, boundaries)
    else:
        schedule = optax.cosine_decay_schedule(rate, steps - warmup)
    if not warmup:
        return schedule
    return optax.join_schedules([optax.linear_schedule(0.0, rate, warmup), schedule], [warmup])


class LearningRates:
    """The values of a schedule as NumPy scalars, without the accelerator having to wait for each.

    Args:
      schedule: The learning rate by update.
    """

    def __init__(self, schedule: optax.Schedule) -> None:
        self._schedule = schedule
        self._first, self._values = -1, np.empty(0, np.float32)

    def __getitem__(self, update: int) -> np.float32:
        first = update - update % _BLOCK
        if first != self._first:
            values = np.asarray(self._schedule(np.arange(first, first + _BLOCK)), np.float32)
            self._first, self._values = first, np.broadcast_to(values, (_BLOCK,))
        return self._values[update - first]


def create_optimizer(config: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The optimizer of an experiment.

    Args:
      config: `name`, `momentum`, `b1`, `b2`, `weight_decay` (of 'adamw'), `clip_norm` (0: none) and
        `accumulate_steps`; each as `training.rules` says.
      schedule: The learning rate by update.
    """
    if config.name == 'adam':
        optimizer = optax.adam(schedule, b1=config.b1, b2=config.b2)
    elif config.name == 'adamw':
        optimizer = optax.adamw(
            schedule, b1=config.b1, b2=config.b2, weight_decay=config.weight_decay
        )
    else:
        optimizer = optax.sgd(schedule, momentum=config.momentum)
    if config.clip_norm:
        optimizer = optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    if config.accumulate_steps > 1:
        return optax.MultiSteps(optimizer, config.accumulate_steps).gradient_transformation()
    return optimizer
