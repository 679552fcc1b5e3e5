"""Pruning in the course of a training: a few channels at a time, with time to recover."""

from __future__ import annotations

import jax
import numpy as np
from ml_collections import ConfigDict

from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig
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
from mattingjax.training.state import TrainState


def check(config: ConfigDict, steps: int) -> None:
    """Raises MattingError unless the steps of `pruning` lie in a training of so many."""
    if config.ratio and not config.begin_step < config.end_step < steps:
        raise MattingError(
            'config.pruning.begin_step, config.pruning.end_step: expected the second over the '
            f'first and below the {steps} steps of the training, so that some come after the last '
            f'cut, got {config.begin_step} and {config.end_step}'
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
