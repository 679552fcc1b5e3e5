"""Steps that tests run one by one, of random batches."""

import functools

import jax
import numpy as np
import optax
from flax.traverse_util import flatten_dict

from mattingjax.training.state import create_state
from mattingjax.training.steps import StepInputs, StepOptions, create_train_step

# Steps run once here: what they are compiled to need not be fast.
QUICK = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})


def make_batch(size=32, count=2, seed=0):
    rng = np.random.default_rng(seed)
    alpha = (rng.uniform(size=(count, size, size, 1)) > 0.5).astype(np.float32)
    return {
        'image': rng.integers(0, 256, (count, size, size, 3), np.uint8),
        'alpha': alpha,
        'trimap': np.where(rng.uniform(size=alpha.shape) > 0.7, 0.5, alpha).astype(np.float32),
    }


def step_inputs(rate, seed=0):
    return StepInputs(np.float32(rate), np.asarray(jax.random.key_data(jax.random.key(seed))))


def one_step(
    checkpoint,
    objective,
    *,
    teacher=None,
    optimizer=optax.sgd,
    rate=0.1,
    options=None,
    size=32,
    **state,
):
    step = create_train_step(
        checkpoint.config,
        objective,
        optimizer,
        options or StepOptions(),
        teacher and teacher.config,
    )
    before = create_state(checkpoint.variables, optimizer(optax.constant_schedule(0)), **state)
    variables = teacher and teacher.variables
    after, metrics = QUICK(step)(before, make_batch(size), variables, step_inputs(rate))
    return before, after, {name: float(value) for name, value in metrics.items()}


def changed(before, after):
    old, new = (flatten_dict(tree, sep='/') for tree in (before, after))
    return {path for path in old if not np.array_equal(old[path], new[path])}
