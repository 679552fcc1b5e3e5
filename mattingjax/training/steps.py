"""One step of training: forward and backward pass, loss, update and averages in one program."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict

from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig, Variables, create_model, normalise, variable_shapes
from mattingjax.networks.cpu_operations import training_operations
from mattingjax.networks.layers import BatchNorm
from mattingjax.networks.precision import cast_kernels
from mattingjax.training.objective import Objective
from mattingjax.training.optimizers import CreateOptimizer
from mattingjax.training.state import TrainState, frozen_norms, join

Batch = Mapping[str, jax.Array]


class StepInputs(NamedTuple):
    """Numbers from the settings that a step takes as arguments, so that changes recompile nothing.

    Attributes:
      learning_rate: The learning rate of the step, a float32 scalar; of several steps, [n].
      seed: The random seed of dropout as the data of a JAX key, uint32 [2].
    """

    learning_rate: np.float32 | np.ndarray | jax.Array
    seed: np.ndarray


Step = Callable[
    [TrainState, Batch, Variables | None, StepInputs], tuple[TrainState, dict[str, jax.Array]]
]


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """How a step is computed.

    Attributes:
      ema_decay: The decay of the exponential moving averages of the parameters, in [0, 1); 0 keeps
        none. Early steps use less, min(decay, (1 + step) / (10 + step)), as they do for the running
        statistics of batch normalisation.
      dtype: The type of the layers' arithmetic, the teacher's too, 'float32' or 'bfloat16'.
        Parameters, batch statistics and losses are float32 with either; `networks.precision` says
        more.
    """

    ema_decay: float = 0.0
    dtype: str = 'float32'

    def __post_init__(self) -> None:
        if not 0 <= self.ema_decay < 1:
            raise MattingError(f'ema_decay: expected 0 or more and below 1, got {self.ema_decay}')
        if self.dtype not in ('float32', 'bfloat16'):
            raise MattingError(f'dtype: expected float32 or bfloat16, got {self.dtype!r}')


def create_train_step(
    config: ModelConfig,
    objective: Objective,
    create_optimizer: CreateOptimizer,
    options: StepOptions,
    teacher: ModelConfig | None = None,
) -> Step:
    """Makes a function that computes one step; it is not compiled yet.

    The function takes the state, a batch, the teacher's variables (or None) and `StepInputs`. It
    returns the new state and the metrics: `loss`, its terms, and `gradient_norm` before clipping.
    The batch has `image`, uint8 [B, S, S, 3], and what the objective needs.

    Args:
      config: The network that learns.
      objective: The loss that is minimised.
      create_optimizer: Makes the optimizer from a schedule of the learning rate.
      options: How a step is computed.
      teacher: The network that is learned from; None if the objective needs none.

    Raises:
      MattingError: A layer whose features are compared does not exist.
    """
    for network in filter(None, (config, teacher)):
        check_layers(network, objective.features)

    def train_step(
        state: TrainState, batch: Batch, teacher_variables: Variables | None, inputs: StepInputs
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        images = batch['image'].astype(jnp.float32)
        normalised = normalise(config.preprocessing, images)
        teacher_outputs = None
        teacher_features: dict[str, jax.Array] = {}
        if teacher is not None:
            teacher_outputs, teacher_features = _run_teacher(
                teacher, teacher_variables, images, objective.features, options.dtype
            )

        def compute_loss(params: Any) -> tuple[jax.Array, Any]:
            outputs, features, batch_stats = _run(
                config,
                {
                    'params': cast_kernels(join(params, state.frozen), options.dtype),
                    'batch_stats': state.batch_stats,
                },
                normalised.astype(options.dtype),
                objective.features,
                frozen=frozen_norms(state.frozen),
                step=state.step,
                seed=inputs.seed,
            )
            loss, terms = objective(
                params, outputs, batch, normalised, teacher_outputs, features, teacher_features
            )
            return loss, (terms, batch_stats)

        with training_operations():
            # Without loss scaling: bfloat16 has float32's range, so that no gradient vanishes.
            differentiate = jax.value_and_grad(compute_loss, has_aux=True)
            (loss, (terms, batch_stats)), gradients = differentiate(state.params)
        optimizer = create_optimizer(lambda _: inputs.learning_rate)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        new_state = state.replace(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            ema=_average(state, params, batch_stats, options.ema_decay),
        )
        metrics = {'loss': loss, **terms, 'gradient_norm': optax.tree.norm(gradients)}
        return new_state, metrics

    return train_step


def _average(state: TrainState, params: Any, batch_stats: Any, decay: float) -> Any:
    if state.ema is None:
        return None
    new = {'params': params, 'batch_stats': batch_stats}
    return optax.incremental_update(new, state.ema, 1 - _early_decay(decay, state.step))


def _early_decay(decay: float, step: jax.Array) -> jax.Array:
    """Lowers the decay of a moving average in early steps, so that its start is soon forgotten."""
    return jnp.minimum(decay, (1.0 + step) / (10.0 + step))


def _run(
    config: ModelConfig,
    variables: Variables,
    image: jax.Array,
    layers: tuple[str, ...],
    *,
    frozen: frozenset[str],
    step: jax.Array,
    seed: np.ndarray,
) -> tuple[dict[str, jax.Array], dict[str, jax.Array], Any]:
    """Runs a network as in training; frozen normalisations use their running statistics.

    Returns:
      The outputs, the features of the layers, and the new batch statistics.
    """

    def set_norm(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, BatchNorm) and context.method_name == '__call__':
            kwargs = {
                'use_running_average': '/'.join(context.module.path) in frozen,
                'momentum': _early_decay(context.module.momentum, step),
            }
        return next_call(*args, **kwargs)

    with nn.intercept_methods(set_norm):
        outputs, updates = create_model(config).apply(
            variables,
            image,
            train=True,
            rngs={'dropout': jax.random.fold_in(jax.random.wrap_key_data(jnp.asarray(seed)), step)},
            mutable=['batch_stats', 'intermediates'],
            capture_intermediates=functools.partial(_is_layer, layers),
        )
    return outputs, _features(updates, layers), updates['batch_stats']


def _run_teacher(
    config: ModelConfig,
    variables: Variables | None,
    images: jax.Array,
    layers: tuple[str, ...],
    dtype: str,
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Runs a network as in inference, on images resized to its own input size."""
    assert variables is not None
    size = config.input_size
    if images.shape[1:3] != (size, size):
        images = jax.image.resize(images, (len(images), size, size, 3), 'linear')
    outputs, captured = create_model(config).apply(
        {**variables, 'params': cast_kernels(variables['params'], dtype)},
        normalise(config.preprocessing, images).astype(dtype),
        auxiliary=True,
        mutable=['intermediates'],
        capture_intermediates=functools.partial(_is_layer, layers),
    )
    return jax.lax.stop_gradient((outputs, _features(captured, layers)))


def _is_layer(layers: tuple[str, ...], module: nn.Module, method: str) -> bool:
    return method == '__call__' and '/'.join(module.path) in layers


def _features(captured: Any, layers: tuple[str, ...]) -> dict[str, jax.Array]:
    values = flatten_dict(captured.get('intermediates', {}), sep='/')
    return {name: values[f'{name}/__call__'][0] for name in layers}


def check_layers(config: ModelConfig, layers: tuple[str, ...]) -> None:
    """Raises MattingError unless the network has layers of these paths."""
    paths = flatten_dict(variable_shapes(config)['params'], sep='/')
    modules = {path.rsplit('/', i)[0] for path in paths for i in range(1, path.count('/') + 1)}
    if unknown := [name for name in layers if name not in modules]:
        raise MattingError(f'config.loss.features: {unknown[0]}: no layer of {config.network}')
