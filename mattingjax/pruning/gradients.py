"""Gradients of a matting loss on photos with known alphas, for the method 'taylor'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
        return sum(
            (
                jnp.abs(matte - _shrink(alphas, matte.shape[1])).mean()
                for matte in _list_mattes(outputs)
            ),
            jnp.zeros(()),
        )

    gradient = jax.jit(jax.grad(loss))
    for images, alphas in pairs:
        yield jax.tree.map(np.asarray, gradient(variables['params'], images, alphas))


def _list_mattes(outputs: Mapping[str, jax.Array]) -> Iterator[jax.Array]:
    """Yields the matte of each head, [N, h, w, 1] in [0, 1].

    Heads of two classes give the person's share, but for `logits`, which the alpha is made of.
    """
    for name, output in sorted(outputs.items()):
        if output.shape[-1] == 1:
            yield output
        elif name != 'logits':
            yield jax.nn.sigmoid(output[..., 1:] - output[..., :1])


def _shrink(alphas: jax.Array, size: int) -> jax.Array:
    """Shrinks square alphas to a size that divides theirs, by means over squares."""
    count, full = alphas.shape[:2]
    step = full // size
    return alphas.reshape(count, size, step, size, step, 1).mean(axis=(2, 4))
