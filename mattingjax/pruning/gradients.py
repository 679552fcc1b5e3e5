"""Gradients of a matting loss on photos with known alphas, for the Taylor importance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.errors import MattingError
from mattingjax.images import find_images, load_image
from mattingjax.models import ModelConfig, Variables, apply_model
from mattingjax.pruning.recalibration import load_square


def compute_gradients(
    config: ModelConfig, variables: Variables, pairs: Iterable[tuple[np.ndarray, np.ndarray]]
) -> list[Any]:
    """The gradient for each photo.

    The loss is the mean absolute difference of the alpha and of every other head, so that the
    channels that only training needs count too. The network runs as in inference.

    Args:
      config: The network.
      variables: Its `params` and `batch_stats`.
      pairs: Photos and alphas, float32 [N, S, S, 3] in [0, 255] and [N, S, S, 1] in [0, 1].

    Returns:
      Trees like `params`, of NumPy arrays.
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
    return [
        jax.tree.map(np.asarray, gradient(variables['params'], images, alphas))
        for images, alphas in pairs
    ]


def _shrink(alphas: jax.Array, size: int) -> jax.Array:
    """Square alphas at a whole fraction of their size, by means over squares."""
    count, full = alphas.shape[:2]
    step = full // size
    return alphas.reshape(count, size, step, size, step, 1).mean(axis=(2, 4))


def load_pairs(
    config: ModelConfig, photos: Iterable[Path], alphas: Path
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos and their alphas, matched by the files' names without suffix.

    Args:
      config: The network.
      photos: Their files; those without an alpha are left out.
      alphas: Folder of alphas, grey pictures.

    Yields:
      float32 [1, S, S, 3] in [0, 255] and [1, S, S, 1] in [0, 1], the middle squares at the
      network's input size.

    Raises:
      MattingError: No photo has an alpha.
    """
    by_stem = {path.stem: path for path in find_images(alphas)}
    pairs = [(path, by_stem[path.stem]) for path in photos if path.stem in by_stem]
    if not pairs:
        raise MattingError(f'{alphas}: no picture there has the name of a photo')
    for photo, alpha in pairs:
        image = load_square(load_image(photo), config.input_size)
        grey = load_square(load_image(alpha), config.input_size)[..., :1]
        yield image[None].astype(np.float32), grey[None].astype(np.float32) / 255
