"""The operations of `operations`, with gradients in forms that XLA:CPU computes fast.

What automatic differentiation makes of a convolution or a normalisation is slow there: kernel
gradients become convolutions with kernels as large as the image, and sums over pixels pass
through all of the memory for every channel. Values equal those of `operations` up to rounding;
each function can be differentiated once, in reverse mode. `scripts/benchmark_training.py` measures
the gain.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mattingjax.networks import operations
from mattingjax.networks.cpu_convolutions import conv, depthwise_conv, sum_pixels
from mattingjax.networks.replacement import Replacements, replace_operations

_plain_relu6 = operations.relu6.plain
_plain_upsample_2x = operations.upsample_2x.plain


def training_operations() -> contextlib.AbstractContextManager[None]:
    """Makes a context in which steps are traced with the operations that are fast on the backend.

    Enter it inside of the function that is compiled, around the forward and backward pass.
    """
    on_cpu = jax.default_backend() == 'cpu'
    return replace_operations(TRAINING if on_cpu else {})


@jax.custom_vjp
def relu6(x: jax.Array) -> jax.Array:
    """Computes `operations.relu6`; its gradient at 0 and at 6 is 0, as in PyTorch."""
    return _plain_relu6(x)


relu6.defvjp(
    lambda x: (_plain_relu6(x), x),
    lambda x, g: (jnp.where((x > 0) & (x < 6), g, jnp.zeros_like(g)),),
)


def batch_norm_training(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Computes `operations.batch_norm_training`; mean and variance have no gradient."""
    y, mean, variance = _normalise(x, scale, bias, epsilon, False)
    return y, mean[0], variance[0]


def instance_norm(x: jax.Array) -> jax.Array:
    """Computes `operations.instance_norm`."""
    one, zero = (jnp.full(x.shape[-1], value, x.dtype) for value in (1, 0))
    return _normalise(x, one, zero, operations.INSTANCE_NORM_EPSILON, True)[0]


def ib_norm(
    x: jax.Array, batch_channels: int, normalise_batch: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Computes `operations.ib_norm`."""
    first, second = _split_channels(x, batch_channels)
    return jnp.concatenate([normalise_batch(first), instance_norm(second)], axis=-1)


def upsample_2x(x: jax.Array, *, half_pixel: bool) -> jax.Array:
    """Computes `operations.upsample_2x`."""
    return _upsample_2x(x, half_pixel)


TRAINING: Replacements = {
    operations.batch_norm_training: batch_norm_training,
    operations.conv: conv,
    operations.depthwise_conv: depthwise_conv,
    operations.ib_norm: ib_norm,
    operations.instance_norm: instance_norm,
    operations.relu6: relu6,
    operations.upsample_2x: upsample_2x,
}


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalise(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, per_image: bool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises each channel of each image, or of the batch; returns mean and variance too.

    These are float32 [N, C] or [1, C]; gradients do not flow back from them.
    """
    return _normalise_forward(x, scale, bias, epsilon, per_image)[0]


def _normalise_forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, per_image: bool
) -> Any:
    # E[x²] − E[x]² needs a single pass, but loses digits unless the mean is near 0. The mean of one
    # row is near enough the mean of all, so it is subtracted first.
    origin = x[:, x.shape[1] // 2].astype(jnp.float32).mean(1)

    def square(image: jax.Array, origin: jax.Array) -> list[jax.Array]:
        shifted = image.astype(jnp.float32) - _per_pixel(origin)
        return [shifted, jnp.square(shifted)]

    mean, mean_square = _mean_pixels(x, square, x, origin)
    variance = jnp.maximum(mean_square - jnp.square(mean), 0)
    mean += origin
    if not per_image:
        total = mean.mean(0, keepdims=True)
        variance = (variance + jnp.square(mean - total)).mean(0, keepdims=True)
        mean = total
    factor = lax.rsqrt(variance + epsilon) * scale
    y = x.astype(jnp.float32) * _per_pixel(factor) + _per_pixel(bias - mean * factor)
    return (y.astype(x.dtype), mean, variance), (x, scale, bias, mean, variance)


def _normalise_backward(epsilon: float, per_image: bool, residuals: Any, cotangents: Any) -> Any:
    """Computes the gradients of Ioffe & Szegedy (https://arxiv.org/abs/1502.03167), section 3.

    They are rearranged so that the input's takes few operations per value.
    """
    x, scale, bias, mean, variance = residuals
    g: jax.Array = cotangents[0]

    def multiply(g: jax.Array, image: jax.Array, mean: jax.Array) -> list[jax.Array]:
        g = g.astype(jnp.float32)
        return [g, g * (image.astype(jnp.float32) - _per_pixel(mean))]

    means = jnp.broadcast_to(mean, (len(x), x.shape[-1]))
    mean_g, mean_product = _mean_pixels(x, multiply, g, x, means)
    if not per_image:
        mean_g, mean_product = (value.mean(0, keepdims=True) for value in (mean_g, mean_product))
    inverse = lax.rsqrt(variance + epsilon)
    factor = inverse * scale
    slope = factor * jnp.square(inverse) * mean_product
    offset = slope * mean - factor * mean_g
    values, g = x.astype(jnp.float32), g.astype(jnp.float32)
    x_gradient = g * _per_pixel(factor) + (_per_pixel(offset) - values * _per_pixel(slope))
    count = x.size // mean.size
    scale_gradient = (mean_product * inverse).sum(0) * count
    bias_gradient = mean_g.sum(0) * count
    return (
        x_gradient.astype(x.dtype),
        scale_gradient.astype(scale.dtype),
        bias_gradient.astype(bias.dtype),
    )


def _mean_pixels(
    x: jax.Array, function: Callable[..., Sequence[jax.Array]], *arrays: jax.Array
) -> list[jax.Array]:
    return [total / (x.shape[1] * x.shape[2]) for total in sum_pixels(function, *arrays)]


def _per_pixel(values: jax.Array) -> jax.Array:
    return values[:, None, None, :]


_normalise.defvjp(_normalise_forward, _normalise_backward)


# Automatic differentiation of two slices would pad both gradients with zeros and add them.


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _split_channels(x: jax.Array, first: int) -> tuple[jax.Array, jax.Array]:
    return x[..., :first], x[..., first:]


_split_channels.defvjp(
    lambda x, first: (_split_channels(x, first), None),
    lambda first, _, g: (jnp.concatenate(g, axis=-1),),
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _upsample_2x(x: jax.Array, half_pixel: bool) -> jax.Array:
    return _plain_upsample_2x(x, half_pixel=half_pixel)


def _upsample_2x_backward(half_pixel: bool, _: None, g: jax.Array) -> tuple[jax.Array]:
    for axis in (2, 1):
        size = g.shape[axis] // 2
        pairs = g.reshape(*g.shape[:axis], size, 2, *g.shape[axis + 1 :])
        even, odd = (lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1))
        cut = functools.partial(lax.slice_in_dim, axis=axis)
        before, last = cut(odd, 0, size - 1), cut(odd, size - 1, size)
        # An odd output is made of its own input and the next one, which the last one lacks.
        if half_pixel:
            previous = jnp.concatenate([cut(even, 0, 1), before], axis)
            following = jnp.concatenate([cut(even, 1, size), last], axis)
            g = 0.75 * (even + odd) + 0.25 * (previous + following)
        else:
            previous = jnp.concatenate([jnp.zeros_like(last), before], axis)
            own = jnp.concatenate([before, 2 * last], axis)
            g = even + 0.5 * (previous + own)
    return (g,)


_upsample_2x.defvjp(
    lambda x, half_pixel: (_upsample_2x(x, half_pixel), None), _upsample_2x_backward
)
