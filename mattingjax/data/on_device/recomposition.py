"""Recomposition on the device: the counterpart of `data.recomposition.Recompose`."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mattingjax.data import recomposition
from mattingjax.data.on_device.degradations import add_light, blur, jitter_colours, to_levels
from mattingjax.data.on_device.draws import Draws
from mattingjax.data.on_device.pictures import Pictures, mean, sample
from mattingjax.data.on_device.views import choose, whole


def recompose(
    transform: recomposition.Recompose,
    foreground: jax.Array,
    alpha: jax.Array,
    backgrounds: Pictures,
    draws: Draws,
) -> jax.Array:
    """Puts a person before a random part of a random background: float32 [S, S, 3] in [0, 255].

    Args:
      transform: Says how.
      foreground: The person's colours, float32 [S, S, 3] of whole numbers in [0, 255].
      alpha: float32 [S, S] in [0, 1].
      backgrounds: Pictures of three channels.
      draws: The source of randomness.
    """
    if transform.relight:
        foreground = jitter_colours(recomposition.JITTER, foreground, draws)
        foreground = add_light(recomposition.LIGHT, foreground, draws)
    behind = _background(transform, len(alpha), backgrounds, draws)
    return to_levels(alpha[..., None] * foreground + (1 - alpha[..., None]) * behind)


def _background(
    transform: recomposition.Recompose, size: int, backgrounds: Pictures, draws: Draws
) -> jax.Array:
    index = draws.integer(0, len(backgrounds.starts) - 1)
    view = whole(backgrounds.sides[index, 0])
    side = jnp.maximum(1, jnp.round(view.sides.min() * draws.uniform(*recomposition.PART)))
    corner = jnp.floor(draws.uniforms(0, 1, 2) * (view.sides - side + 1))
    part = view.then(jnp.eye(2), corner, side)._replace(low=corner, high=corner + side)
    part = part.resized(jnp.full(2, float(size)))
    part = choose(draws.chance(recomposition.MIRRORED), part.flipped(), part)
    picture = to_levels(mean(sample(backgrounds, index, part, size), slice(3)))
    is_blurred = draws.chance(recomposition.BLURRED)
    sigma = jnp.maximum(0.1, draws.uniform(0, transform.blur) * size)
    return jnp.where(is_blurred, to_levels(blur(picture, sigma)), picture)
