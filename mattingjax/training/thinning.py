"""Gradual pruning during a training: a few channels at a time, with steps to recover between."""

from __future__ import annotations

import dataclasses

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
    select_uniform,
    slice_tree,
)
from mattingjax.training.state import TrainState

SCHEDULES = ('linear', 'cubic')


@dataclasses.dataclass(frozen=True)
class Thinning:
    """The schedule of gradual pruning, and the rule for which channels go.

    Attributes:
      ratio: The share of each group's channels that is removed in the end, in [0, 1); 0 prunes
        nothing.
      schedule: 'linear' or 'cubic'; see `scheduled_ratio`.
      begin_step: Nothing is pruned up to this step.
      end_step: The last cut follows this step.
      every_steps: The number of steps from one cut to the next.
      method: The measure of importance, a method of `compute_importance`.
      limits: The limits of the widths.
    """

    ratio: float
    schedule: str
    begin_step: int
    end_step: int
    every_steps: int
    method: str
    limits: Limits

    @classmethod
    def from_settings(cls, config: ConfigDict, steps: int) -> Thinning:
        """Makes the schedule from the settings `pruning` of a training of `steps` steps.

        Raises:
          MattingError: The cuts do not lie within the training.
        """
        if config.ratio and not config.begin_step < config.end_step < steps:
            raise MattingError(
                'config.pruning.begin_step, config.pruning.end_step: expected the second over the '
                f'first and below the {steps} steps of the training, so that some come after the '
                f'last cut, got {config.begin_step} and {config.end_step}'
            )
        limits = Limits(round_to=config.round_to, min_channels=config.min_channels)
        return cls(
            config.ratio,
            config.schedule,
            config.begin_step,
            config.end_step,
            config.every_steps,
            config.method,
            limits,
        )

    def is_due(self, step: int) -> bool:
        """Says whether channels are removed after this step."""
        if not self.ratio or not self.begin_step < step <= self.end_step:
            return False
        return (step - self.begin_step) % self.every_steps == 0 or step == self.end_step

    def thin(
        self, dense: ModelConfig, network: ModelConfig, state: TrainState, step: int
    ) -> tuple[ModelConfig, TrainState]:
        """Removes the least important channels down to the widths of the schedule at this step.

        Widths are shares of the dense network's, so that rounding does not add up over the cuts.
        The state of the optimizer and the moving averages lose the same channels.

        Args:
          dense: The network before any pruning.
          network: The network as it is now.
          state: The state of the training of `network`.
          step: The number of steps done.

        Returns:
          The narrower network and its state, NumPy arrays where something was cut.
        """
        ratio = scheduled_ratio(
            step,
            begin_step=self.begin_step,
            end_step=self.end_step,
            final_ratio=self.ratio,
            schedule=self.schedule,
        )
        wanted = select_uniform(channel_groups(dense), ratio, self.limits)
        groups = channel_groups(network)
        widths = {group.name: min(group.width, wanted[group.name]) for group in groups}
        variables = jax.tree.map(np.asarray, state.variables(averaged=False))
        importance = compute_importance(network, variables, self.method)
        keep_indices = keep_best(groups, importance, widths)
        narrower, _, _ = prune(network, variables, keep_indices)
        arrays = {
            name: slice_tree(network, value, keep_indices)
            for name, value in vars(state).items()
            if name != 'step'
        }
        return narrower, state.replace(**arrays)


def scheduled_ratio(
    step: int, *, begin_step: int, end_step: int, final_ratio: float, schedule: str = 'cubic'
) -> float:
    """Computes the share of the dense network's channels that is removed by a step.

    With t = (step − begin) / (end − begin), limited to [0, 1], 'linear' is final · t, and 'cubic'
    is final · (1 − (1 − t)³), which prunes most at first, while there is much to choose from and
    time to recover.

    Args:
      step: The number of steps done.
      begin_step: Nothing is removed up to this step.
      end_step: From this step on the final share is removed.
      final_ratio: The final share, in [0, 1).
      schedule: 'linear' or 'cubic'.

    Returns:
      The share, in [0, final_ratio].

    Raises:
      MattingError: A value is impossible.

    References:
      Zhu and Gupta, To prune, or not to prune (https://arxiv.org/abs/1710.01878): cubic.
    """
    if schedule not in SCHEDULES:
        raise MattingError(f'schedule: expected one of {", ".join(SCHEDULES)}, got {schedule!r}')
    if not 0 <= final_ratio < 1:
        raise MattingError(f'final_ratio: expected 0 or more and below 1, got {final_ratio}')
    if begin_step >= end_step:
        raise MattingError(f'end_step: expected over begin_step {begin_step}, got {end_step}')
    t = min(max((step - begin_step) / (end_step - begin_step), 0.0), 1.0)
    return final_ratio * (t if schedule == 'linear' else 1 - (1 - t) ** 3)
