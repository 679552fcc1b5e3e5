"""Degradations on the device: the counterparts of those in `data.degradations`, with their ranges.

A picture is float32 [S, S, 3] of whole numbers in [0, 255]; each step rounds to them, as in 8 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.data import degradations
from mattingjax.data.on_device.compression import compress
from mattingjax.data.on_device.draws import Draws

_PRECISE = jax.lax.Precision.HIGHEST  # which accelerators do not take of themselves


class Example(NamedTuple):
    """An example while it is made.

    Attributes:
      image: float32 [S, S, 3] of whole numbers in [0, 255].
      alpha: float32 [S, S] in [0, 1]; None if photos have none.
    """

    image: jax.Array
    alpha: jax.Array | None


Degrade = Callable[[Any, Example, Draws], Example]


def to_levels(values: jax.Array) -> jax.Array:
    """Rounds to whole numbers in [0, 255]."""
    return jnp.round(jnp.clip(values, 0, 255))


def jitter_colours(
    transform: degradations.ColourJitter, image: jax.Array, draws: Draws
) -> jax.Array:
    """Changes the colours of a picture as `ColourJitter` does."""
    turn = 2 * math.pi * draws.uniform(-transform.hue, transform.hue)
    saturation = 1 + draws.uniform(-transform.saturation, transform.saturation)
    gain = 1 + draws.uniforms(-transform.gain, transform.gain, 3)
    gain = gain * (1 + draws.uniform(-transform.brightness, transform.brightness))
    contrast = 1 + draws.uniform(-transform.contrast, transform.contrast)
    gamma = (1 + transform.gamma) ** draws.uniform(-1, 1)

    to_grey = np.outer(np.ones(3), degradations.LUMA).astype(np.float32)
    mixing = saturation * jnp.eye(3) + (1 - saturation) * to_grey
    matrix = jnp.matmul(_turn_hue(turn), mixing, precision=_PRECISE)
    # Sums of products, not a product of matrices: so they fuse with what is around them.
    mixed = to_levels(sum(image[..., i, None] * matrix[:, i] for i in range(3)))  # type: ignore[arg-type]
    curves = (mixed / 255 * gain - 0.5) * contrast + 0.5
    return jnp.round(jnp.clip(curves, 0, 1) ** gamma * 255)


def add_light(transform: degradations.LightGradient, image: jax.Array, draws: Draws) -> jax.Array:
    """Multiplies a picture by a gradient of light as `LightGradient` does."""
    angle = draws.uniform(0, 2 * math.pi)
    strength = draws.uniform(0, transform.strength)
    ramp = jnp.linspace(-1, 1, len(image))
    factor = 1 + strength * (ramp[:, None] * jnp.sin(angle) + ramp * jnp.cos(angle))
    return to_levels(image * factor[..., None])


def blur(picture: jax.Array, sigma: jax.Array) -> jax.Array:
    """Blurs a picture with a Gaussian, its border mirrored.

    Args:
      picture: float32 [S, S, C].
      sigma: The standard deviation in pixels, over 0.
    """
    size = len(picture)
    pixels = jnp.arange(size)
    mirrored = jnp.stack([pixels, -1 - pixels, 2 * size - 1 - pixels])
    distances = (pixels[:, None] - mirrored[:, None]) / sigma
    weights = jnp.exp(-(distances**2) / 2).sum(0)
    weights /= weights.sum(1, keepdims=True)
    return jnp.einsum('ij,kl,jlc->ikc', weights, weights, picture, precision=_PRECISE)


def _defocus(transform: degradations.DefocusBlur, example: Example, draws: Draws) -> Example:
    share = draws.uniform(0, transform.sigma)
    sigma = jnp.maximum(0.1, share * len(example.image))
    return _filter(example, lambda picture: blur(picture, sigma))


def _move(transform: degradations.MotionBlur, example: Example, draws: Draws) -> Example:
    size = len(example.image)
    share = draws.uniform(0, transform.length)
    angle = draws.uniform(0, math.pi)
    radius = math.ceil(transform.length * size / 2)
    kernel = _line(share * size, angle, radius)
    return _filter(example, lambda picture: _convolve(picture, kernel, radius))


def _filter(example: Example, function: Callable[[jax.Array], jax.Array]) -> Example:
    """Filters image and alpha at once."""
    if example.alpha is None:
        return Example(to_levels(function(example.image)), None)
    filtered = function(jnp.concatenate([example.image, example.alpha[..., None]], -1))
    return Example(to_levels(filtered[..., :3]), jnp.clip(filtered[..., 3], 0, 1))


def _convolve(picture: jax.Array, kernel: jax.Array, radius: int) -> jax.Array:
    size = len(picture)
    padded = jnp.pad(picture, ((radius, radius), (radius, radius), (0, 0)), mode='symmetric')

    def add_row(i: jax.Array, total: jax.Array) -> jax.Array:
        rows = jax.lax.dynamic_slice_in_dim(padded, i, size)
        shifted = (kernel[i, j] * rows[:, j : j + size] for j in range(2 * radius + 1))
        return total + sum(shifted)

    return jax.lax.fori_loop(0, 2 * radius + 1, add_row, jnp.zeros_like(picture))


def _line(length: jax.Array, angle: jax.Array, radius: int) -> jax.Array:
    """A kernel of a line through the centre, of sum 1: float32 [2 · radius + 1] twice."""
    # Each point of the line is distributed over the four pixels around it.
    last = 4 * jnp.ceil(length / 2)
    numbers = jnp.arange(4 * radius + 1)
    points = (numbers / jnp.maximum(last, 1) - 0.5) * length
    grid = jnp.arange(-radius, radius + 1)[:, None]
    across, down = (
        jnp.maximum(0, 1 - jnp.abs(grid - position))
        for position in (points * jnp.cos(angle), points * jnp.sin(angle))
    )
    kernel = jnp.matmul(down * (numbers <= last), across.T, precision=_PRECISE)
    return kernel / kernel.sum()


def _add_noise(transform: degradations.CameraNoise, example: Example, draws: Draws) -> Example:
    slope, intercept, deviation = degradations.READ
    log_shot = draws.uniform(*(math.log(value) for value in transform.shot))
    read = jnp.exp(slope * log_shot + intercept + deviation * draws.normal())
    variances = jnp.exp(log_shot) * jnp.asarray(degradations.LINEAR, jnp.float32) + read
    deviations = 255 * jnp.sqrt(variances) * jnp.asarray(degradations.SLOPE, jnp.float32)
    noise = draws.normal(example.image.shape) * deviations[example.image.astype(jnp.int32)]
    return example._replace(image=to_levels(example.image + noise))


def _compress(transform: degradations.JpegCompression, example: Example, draws: Draws) -> Example:
    return example._replace(image=compress(example.image, draws.integer(*transform.quality)))


def _jitter(transform: degradations.ColourJitter, example: Example, draws: Draws) -> Example:
    return example._replace(image=jitter_colours(transform, example.image, draws))


def _light(transform: degradations.LightGradient, example: Example, draws: Draws) -> Example:
    return example._replace(image=add_light(transform, example.image, draws))


DEGRADATIONS: dict[type, Degrade] = {
    degradations.ColourJitter: _jitter,
    degradations.LightGradient: _light,
    degradations.DefocusBlur: _defocus,
    degradations.MotionBlur: _move,
    degradations.CameraNoise: _add_noise,
    degradations.JpegCompression: _compress,
}


def _turn_hue(angle: jax.Array) -> jax.Array:
    """The rotation of RGB space about its grey axis, [3, 3] (Rodrigues' formula)."""
    cosine, sine = jnp.cos(angle), jnp.sin(angle) / math.sqrt(3)
    cross = jnp.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return cosine * jnp.eye(3) + (1 - cosine) / 3 * jnp.ones((3, 3)) + sine * cross
