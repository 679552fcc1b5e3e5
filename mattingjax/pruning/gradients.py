"""Gradients of a matting loss on photos with known alphas, for the method 'taylor'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.networks import ModelConfig, Variables, apply_model


def compute_gradients(
    config: ModelConfig, variables: Variables, pairs: Iterable[tuple[np.ndarray, np.ndarray]]
) -> Iterator[Any]:
    """Computes the gradients of the parameters, batch by batch.

    The loss is the mean absolute difference of the alpha and of every other head, so that the
    channels that only training needs count too. The network runs as in inference.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`.
      pairs: Batches of photos, float32 [N, S, S, 3] in [0, 255], with their alphas, float32
        [N, S, S, 1] in [0, 1].

    Yields:
      For each batch the gradients, as NumPy arrays in the structure of `params`.
    """

    def loss(params: Any, images: jax.Array, alphas: jax.Array) -> jax.Array:
        outputs = apply_model(config, {**variables, 'params': params}, images, auxiliary=True)
        if 'aux_logits' in outputs:
            logits = outputs['aux_logits']
            outputs['semantic'] = jax.nn.sigmoid(logits[..., 1:] - logits[..., :1])
        total = jnp.zeros(())
        for name in ('alpha', 'detail', 'semantic'):
            if name in outputs:
                total += jnp.abs(outputs[name] - _shrink(alphas, outputs[name].shape[1])).mean()
        return total

    gradient = jax.jit(jax.grad(loss))
    for images, alphas in pairs:
        yield jax.tree.map(np.asarray, gradient(variables['params'], images, alphas))


def _shrink(alphas: jax.Array, size: int) -> jax.Array:
    """Shrinks square alphas to a size that divides theirs, by means over squares."""
    count, full = alphas.shape[:2]
    step = full // size
    return alphas.reshape(count, size, step, size, step, 1).mean(axis=(2, 4))
