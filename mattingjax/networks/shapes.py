"""The operations without their arithmetic, for whoever asks only for the shapes of a network."""

from __future__ import annotations

import contextlib

import jax
import jax.numpy as jnp
from jax import lax

from mattingjax.networks import operations
from mattingjax.networks.padding import Padding, spatial_padding
from mattingjax.networks.replacement import Replacements, replace_operations


def shapes_only() -> contextlib.AbstractContextManager[None]:
    """Makes a context in which networks are traced for the shapes of their arrays alone.

    The arrays have the shapes and types that they would have otherwise, but their values mean
    nothing. The shapes of MMNet are found so in a tenth of the time, which commands spend at their
    start.
    """
    return replace_operations(SHAPES_ONLY)


def _zeros(like: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return lax.full(shape, 0, like.dtype)


def _he_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return lax.full(shape, 0, jnp.float32)


def _conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
    groups: int = 1,
) -> jax.Array:
    pads = spatial_padding(x, kernel, stride, dilation, padding)
    sides = (
        (size + sum(pad) - dilation * (taps - 1) - 1) // stride + 1
        for size, pad, taps in zip(x.shape[1:3], pads, kernel.shape, strict=False)
    )
    return _zeros(x, (x.shape[0], *sides, kernel.shape[-1]))


def _batch_norm(
    x: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
) -> jax.Array:
    return x


def _unchanged(x: jax.Array) -> jax.Array:
    return x


def _upsample_2x(x: jax.Array, *, half_pixel: bool) -> jax.Array:
    batch, height, width, channels = x.shape
    return _zeros(x, (batch, 2 * height, 2 * width, channels))


def _downsample(x: jax.Array, factor: int) -> jax.Array:
    batch, height, width, channels = x.shape
    return _zeros(x, (batch, height // factor, width // factor, channels))


SHAPES_ONLY: Replacements = {
    operations.he_normal: _he_normal,
    operations.conv: _conv,
    operations.depthwise_conv: _conv,
    operations.batch_norm: _batch_norm,
    operations.instance_norm: _unchanged,
    operations.relu6: _unchanged,
    operations.upsample_2x: _upsample_2x,
    operations.downsample: _downsample,
}
