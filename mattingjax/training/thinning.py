"""Pruning in the course of a training: a few channels at a time, with time to recover."""

from __future__ import annotations

import jax
import numpy as np
from ml_collections import ConfigDict

from mattingjax.errors import MattingError
from mattingjax.models import ModelConfig
from mattingjax.pruning import (
    Limits,
    channel_groups,
    compute_importance,
    keep_best,
    prune,
    scheduled_ratio,
    select_uniform,
    slice_tree,
)
from mattingjax.pruning.importance import METHODS
from mattingjax.pruning.schedule import SCHEDULES
from mattingjax.pruning.selection import check_ratio
from mattingjax.training.state import TrainState

_METHODS = tuple(name for name in METHODS if name != 'taylor')  # which needs gradients of its own


def check(config: ConfigDict, steps: int) -> None:
    """Checks `pruning` of the settings before a training of so many steps.

    Raises:
      MattingError: A setting is impossible; it is named.
    """
    check_ratio(config.ratio, 'pruning.ratio')
    if not config.ratio:
        return
    for name, known in (('schedule', SCHEDULES), ('method', _METHODS)):
        if config[name] not in known:
            raise MattingError(
                f'pruning.{name}: expected one of {", ".join(known)}, got {config[name]!r}'
            )
    for name in ('round_to', 'min_channels', 'every_steps'):
        if config[name] < 1:
            raise MattingError(f'pruning.{name}: expected at least 1, got {config[name]}')
    if not 0 <= config.begin_step < config.end_step <= steps:
        raise MattingError(
            'pruning.begin_step, pruning.end_step: expected 0 or more, then more, up to the '
            f'{steps} steps of the training, got {config.begin_step} and {config.end_step}'
        )


def is_due(config: ConfigDict, step: int) -> bool:
    """Whether channels go after this step."""
    if not config.ratio or not config.begin_step < step <= config.end_step:
        return False
    return (step - config.begin_step) % config.every_steps == 0 or step == config.end_step


def thin(
    config: ConfigDict, dense: ModelConfig, network: ModelConfig, state: TrainState, step: int
) -> tuple[ModelConfig, TrainState]:
    """Removes the least important channels, as far as the schedule is.

    Widths are shares of the dense network's, so that rounding does not add up over the steps. The
    optimizer's state and the averages lose the same channels.

    Args:
      config: `pruning` of the settings.
      dense: The network before any pruning.
      network: The network now.
      state: Its state.
      step: Steps done.

    Returns:
      The narrower network and its state, NumPy arrays where something was cut.
    """
    ratio = scheduled_ratio(
        step,
        begin_step=config.begin_step,
        end_step=config.end_step,
        final_ratio=config.ratio,
        schedule=config.schedule,
    )
    limits = Limits(round_to=config.round_to, min_channels=config.min_channels)
    wanted = select_uniform(channel_groups(dense), ratio, limits)
    groups = channel_groups(network)
    widths = {group.name: min(group.width, wanted[group.name]) for group in groups}
    variables = jax.tree.map(np.asarray, state.variables(averaged=False))
    importance = compute_importance(network, variables, config.method)
    keep_indices = keep_best(groups, importance, widths)
    narrower, _, _ = prune(network, variables, keep_indices)
    arrays = {
        name: slice_tree(network, value, keep_indices)
        for name, value in vars(state).items()
        if name != 'step'
    }
    return narrower, state.replace(**arrays)
