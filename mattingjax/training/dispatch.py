"""Several steps of a training in one program, which is started once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.networks import Variables
from mattingjax.training.state import TrainState
from mattingjax.training.steps import Batch, Step, StepInputs

MakeBatch = Callable[[Any, Any, int | jax.Array], Batch]
Dispatch = Callable[
    [TrainState, Any, Any, np.int32, Variables | None, StepInputs],
    tuple[TrainState, dict[str, jax.Array]],
]


def create_dispatch(step: Step, make_batch: MakeBatch, most: int) -> Dispatch:
    """Makes a function that computes steps, one after another; it is not compiled yet.

    The function takes the state; the arrays that all rounds use and those of this round; the number
    of steps, an int32 scalar; the teacher's variables, or None; and `StepInputs` with a learning
    rate for each step, float32 [most]. It returns the new state, and for each metric the values of
    all steps, float32 [most], of which those beyond the number of steps are 0.

    One program does for any number of steps up to `most`, and each is computed in the same way
    whatever the number: the steps of a training may be divided into rounds in any way.

    Args:
      step: Computes one step.
      make_batch: Makes the batch of a step from both arrays and its number in the round.
      most: The largest number of steps, at least 1.
    """

    def dispatch(
        state: TrainState,
        held: Any,
        arrays: Any,
        count: np.int32,
        teacher_variables: Variables | None,
        inputs: StepInputs,
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        rates = jnp.asarray(inputs.learning_rate)

        def compute(i: Any, state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
            own = inputs._replace(learning_rate=rates[i])
            return step(state, make_batch(held, arrays, i), teacher_variables, own)

        if most == 1:
            state, metrics = compute(0, state)
            return state, {name: value[None] for name, value in metrics.items()}

        def compute_and_note(i: jax.Array, carried: Any) -> Any:
            state, rows = carried
            state, metrics = compute(i, state)
            return state, {name: rows[name].at[i].set(value) for name, value in metrics.items()}

        _, shapes = jax.eval_shape(compute, 0, state)
        rows = {
            name: jnp.zeros((most, *value.shape), value.dtype) for name, value in shapes.items()
        }
        return jax.lax.fori_loop(0, count, compute_and_note, (state, rows))

    return dispatch
