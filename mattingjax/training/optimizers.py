"""The optimizer and the schedule of the learning rate that settings describe, made with Optax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optax
from ml_collections import ConfigDict

from mattingjax.errors import MattingError

OPTIMIZERS = ('adam', 'adamw', 'sgd')
SCHEDULES = ('constant', 'step', 'cosine')
_BLOCK = 4096  # the number of learning rates that are computed at once

# A function that makes an optimizer from a schedule of the learning rate.
CreateOptimizer = Callable[[optax.Schedule], optax.GradientTransformation]


def create_schedule(config: ConfigDict, steps: int) -> optax.Schedule:
    """Makes the schedule of the learning rate.

    The schedule 'constant' stays at `learning_rate`. 'step' multiplies it by `decay_factor` at
    `decays` equal distances, so that three decays make four stretches. 'cosine' falls to 0 along
    half a cosine. Each rises linearly from 0 during the warm-up.

    Args:
      config: `learning_rate`, `schedule`, `warmup_steps` and, for 'step', `decays` and
        `decay_factor`. `training.rules` says what each may be.
      steps: The number of updates of the whole training.

    Returns:
      A function from the number of an update, from 0, to its learning rate.

    Raises:
      MattingError: The warm-up is as long as the training or longer.
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
    """The values of a schedule as NumPy scalars, computed block by block.

    Computed one by one, each would make the accelerator wait.

    Args:
      schedule: A function from the number of an update to its learning rate.
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
    """Makes the optimizer of an experiment.

    Args:
      config: `name`, `momentum` (for 'sgd'), `b1` and `b2` (for the other two), `weight_decay` (for
        'adamw'), `clip_norm` (0 clips nothing) and `accumulate_steps`. `training.rules` says what
        each may be.
      schedule: A function from the number of an update to its learning rate.
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
