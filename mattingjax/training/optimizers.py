"""Optax optimizers from settings."""

from __future__ import annotations

import optax
from ml_collections import ConfigDict

from mattingjax.errors import MattingError

OPTIMIZERS = ('adam', 'adamw', 'sgd')
SCHEDULES = ('constant', 'step', 'cosine')


def create_schedule(config: ConfigDict, steps: int) -> optax.Schedule:
    """The learning rate by step.

    Args:
      config: `learning_rate`, `schedule`, `warmup_steps` and, for 'step', `decays` and
        `decay_factor`.
      steps: Of the whole training.

    Returns:
      'constant': the learning rate. 'step': times `decay_factor` at `decays` equal distances, so
      that 3 decays make four stretches. 'cosine': down to 0 along half a cosine. Each rises from 0
      in a straight line during the warm-up.

    Raises:
      MattingError: A setting is impossible.
    """
    rate, warmup = config.learning_rate, config.warmup_steps
    if not 0 < rate < float('inf'):
        raise MattingError(f'optimizer.learning_rate: expected over 0, got {rate}')
    if not 0 <= warmup < steps:
        raise MattingError(
            f'optimizer.warmup_steps: expected 0 or more and below the {steps} steps, got {warmup}'
        )
    if config.schedule == 'constant':
        schedule = optax.constant_schedule(rate)
    elif config.schedule == 'step':
        if config.decays < 0:
            raise MattingError(f'optimizer.decays: expected 0 or more, got {config.decays}')
        if not 0 < config.decay_factor < float('inf'):
            raise MattingError(
                f'optimizer.decay_factor: expected over 0, got {config.decay_factor}'
            )
        stretch = steps / (config.decays + 1)
        boundaries = {round(stretch * i): config.decay_factor for i in range(1, config.decays + 1)}
        schedule = optax.piecewise_constant_schedule(rate, boundaries)
    elif config.schedule == 'cosine':
        schedule = optax.cosine_decay_schedule(rate, steps - warmup)
    else:
        raise MattingError(
            f'optimizer.schedule: expected one of {", ".join(SCHEDULES)}, got {config.schedule!r}'
        )
    if not warmup:
        return schedule
    return optax.join_schedules([optax.linear_schedule(0.0, rate, warmup), schedule], [warmup])


def create_optimizer(config: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The optimizer of an experiment.

    Args:
      config: `name`, `momentum`, `b1`, `b2`, `weight_decay` (of 'adamw'), `clip_norm` (0: none) and
        `accumulate_steps`.
      schedule: The learning rate by update.

    Raises:
      MattingError: A setting is impossible.
    """
    for name in ('b1', 'b2', 'momentum'):
        if not 0 <= config[name] < 1:
            raise MattingError(f'optimizer.{name}: expected 0 to below 1, got {config[name]}')
    for name in ('weight_decay', 'clip_norm'):
        if not 0 <= config[name] < float('inf'):
            raise MattingError(f'optimizer.{name}: expected 0 or more, got {config[name]}')
    if config.name == 'adam':
        optimizer = optax.adam(schedule, b1=config.b1, b2=config.b2)
    elif config.name == 'adamw':
        optimizer = optax.adamw(
            schedule, b1=config.b1, b2=config.b2, weight_decay=config.weight_decay
        )
    elif config.name == 'sgd':
        optimizer = optax.sgd(schedule, momentum=config.momentum)
    else:
        raise MattingError(
            f'optimizer.name: expected one of {", ".join(OPTIMIZERS)}, got {config.name!r}'
        )
    if config.clip_norm:
        optimizer = optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    if config.accumulate_steps < 1:
        raise MattingError(
            f'optimizer.accumulate_steps: expected at least 1, got {config.accumulate_steps}'
        )
    if config.accumulate_steps > 1:
        return optax.MultiSteps(optimizer, config.accumulate_steps).gradient_transformation()
    return optimizer
