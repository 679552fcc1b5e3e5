"""How much is pruned when, where pruning and training take turns."""

from __future__ import annotations

from mattingjax.errors import MattingError

SCHEDULES = ('linear', 'cubic')


def scheduled_ratio(
    step: int, *, begin_step: int, end_step: int, final_ratio: float, schedule: str = 'cubic'
) -> float:
    """The share of the dense network that is gone after `step`.

    With t = (step − begin) / (end − begin), held to [0, 1]: linear is final · t; cubic is
    final · (1 − (1 − t)³), which prunes most at first, while there is much to choose from and time
    to recover.

    Args:
      step: Of training.
      begin_step: Up to it nothing is pruned.
      end_step: From it on the final share is gone.
      final_ratio: That share, in [0, 1).
      schedule: 'linear' or 'cubic'.

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
