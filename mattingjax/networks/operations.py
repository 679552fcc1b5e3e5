"""The operations of which networks are made: functions on NHWC arrays, float32 or bfloat16.

Kernels are [height, width, in, out]. `replacement` can put other functions in the place of these
while a network is traced; `precision` says what is computed in which type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.networks.padding import Padding, spatial_padding
from mattingjax.networks.precision import at_least_float32
from mattingjax.networks.replacement import operation

if TYPE_CHECKING:
    from mattingjax.networks.network import Preprocessing

INSTANCE_NORM_EPSILON = 1e-5


@operation
def he_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws a kernel: normally distributed with variance 2 / fan-in, cut at two deviations.

    References:
      He et al., Delving Deep into Rectifiers (https://arxiv.org/abs/1502.01852).
    """
    return jax.nn.initializers.he_normal()(key, shape, jnp.float32)


@operation
def normalise(preprocessing: Preprocessing, images: jax.Array) -> jax.Array:
    """Turns RGB [..., 3] in [0, 255] into the network's input, as `Preprocessing` says."""
    mean = np.asarray(preprocessing.mean, np.float32)
    std = np.asarray(preprocessing.std, np.float32)
    return (images - mean) / std


@operation
def relu(x: jax.Array) -> jax.Array:
    """Computes max(x, 0)."""
    return jax.nn.relu(x)


@operation
def sigmoid(x: jax.Array) -> jax.Array:
    """Computes 1 / (1 + exp(-x)), in float32 at least: in bfloat16 it is 1 from 6.3 on."""
    return jax.nn.sigmoid(at_least_float32(x))


@operation
def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Adds a number per channel, [C], to [N, H, W, C]."""
    return (x + bias).astype(x.dtype)


@operation
def spatial_mean(x: jax.Array) -> jax.Array:
    """Averages each channel of [N, H, W, C] over the pixels: [N, 1, 1, C]."""
    return jnp.mean(x, axis=(1, 2), keepdims=True)


@operation
def batch_norm(
    x: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
) -> jax.Array:
    """Computes (x - mean) / sqrt(variance + epsilon) * scale + bias, one multiply-add per value.

    It rounds like PyTorch, since MODNet's backbone amplifies rounding errors.

    Args:
      x: The array, [N, H, W, C].
      mean: The running mean of each channel, [C].
      variance: The running variance of each channel, [C].
      scale: The factor of each channel (gamma), [C].
      bias: The number that is added to each channel (beta), [C].
      epsilon: The number that is added to the variance.
    """
    # Without the barrier XLA would compute an approximate reciprocal square root.
    deviation = jax.lax.optimization_barrier(jnp.sqrt(variance + epsilon))
    factor = 1 / deviation * scale
    return (x * factor + (bias - mean * factor)).astype(x.dtype)


@operation
def batch_norm_training(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises each channel by its mean and variance in this batch.

    Args:
      x: The array, [N, H, W, C].
      scale: The factor of each channel (gamma), [C].
      bias: The number that is added to each channel (beta), [C].
      epsilon: The number that is added to the variance.

    Returns:
      The normalised array, the mean [C] and the biased variance [C], both at least float32.
    """
    values = at_least_float32(x)
    mean = jnp.mean(values, axis=(0, 1, 2))
    variance = jnp.mean(jnp.square(values - mean), axis=(0, 1, 2))
    y = (values - mean) * (jax.lax.rsqrt(variance + epsilon) * scale) + bias
    return y.astype(x.dtype), mean, variance


@operation
def ib_norm(
    x: jax.Array, batch_channels: int, normalise_batch: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Batch-normalises the first channels and instance-normalises the others.

    Args:
      x: The array, [N, H, W, C].
      batch_channels: The number of channels that are batch-normalised.
      normalise_batch: The batch normalisation of an array [N, H, W, batch_channels].

    References:
      Pan et al., Two at Once (https://arxiv.org/abs/1807.09441).
    """
    return jnp.concatenate(
        [normalise_batch(x[..., :batch_channels]), instance_norm(x[..., batch_channels:])], axis=-1
    )


@operation
def relu6(x: jax.Array) -> jax.Array:
    """Computes min(max(x, 0), 6)."""
    return jnp.clip(x, 0.0, 6.0)


@operation
def instance_norm(x: jax.Array) -> jax.Array:
    """Normalises each channel of each image to mean 0 and variance 1; no parameters.

    The biased variance gets `INSTANCE_NORM_EPSILON` added.

    Args:
      x: The array, [N, H, W, C].

    Returns:
      The normalised array, [N, H, W, C].

    References:
      Ulyanov et al., Instance Normalization (https://arxiv.org/abs/1607.08022).
    """
    values = at_least_float32(x)
    mean = jnp.mean(values, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(values - mean), axis=(1, 2), keepdims=True)
    factor = jax.lax.rsqrt(variance + INSTANCE_NORM_EPSILON)
    return ((values - mean) * factor).astype(x.dtype)


@operation
def upsample_2x(x: jax.Array, *, half_pixel: bool) -> jax.Array:
    """Doubles height and width by bilinear interpolation.

    With `half_pixel` the centres of the pixels are aligned (PyTorch's `align_corners=False`):
    each output is ¾ of the nearer input and ¼ of the next. Without, source = destination / 2 as in
    TensorFlow 1: even outputs are inputs, odd ones are the mean of two. The border is repeated.

    Args:
      x: The array, [N, H, W, C].
      half_pixel: Whether the centres of the pixels are aligned, and not their upper left corners.

    Returns:
      The enlarged array, [N, 2H, 2W, C].
    """
    for axis in (1, 2):
        size = x.shape[axis]
        first, last = (jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, size - 1))
        following = jnp.concatenate([jax.lax.slice_in_dim(x, 1, size, axis=axis), last], axis=axis)
        if half_pixel:
            previous = jnp.concatenate(
                [first, jax.lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis=axis
            )
            even, odd = 0.75 * x + 0.25 * previous, 0.75 * x + 0.25 * following
        else:
            even, odd = x, 0.5 * (x + following)
        shape = (*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])
        x = jnp.stack([even, odd], axis=axis + 1).reshape(shape)
    return x


@operation
def downsample(x: jax.Array, factor: int) -> jax.Array:
    """Divides height and width by an even factor, bilinearly and without antialiasing.

    Half-pixel centres put each output exactly between the two middle ones of `factor` inputs, so
    it is the mean of those two along each axis (PyTorch's `interpolate(scale_factor=1/factor)`).

    Args:
      x: The array, [N, H, W, C]; H and W are multiples of `factor`.
      factor: An even number.

    Returns:
      The shrunk array, [N, H / factor, W / factor, C].
    """
    first = factor // 2 - 1
    rows = x[:, first::factor] + x[:, first + 1 :: factor]
    return 0.25 * (rows[:, :, first::factor] + rows[:, :, first + 1 :: factor])


@operation
def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
    groups: int = 1,
) -> jax.Array:
    """Convolves [N, H, W, C] with a kernel [h, w, C / groups, features]."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=spatial_padding(x, kernel, stride, dilation, padding),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=groups,
    )


@operation
def depthwise_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
) -> jax.Array:
    """Convolves each channel with its own filter, as a grouped convolution.

    Args:
      x: The array, [N, H, W, C].
      kernel: The filters, [h, w, 1, C].
      stride: The stride along both axes, in pixels.
      dilation: The distance between the taps of the kernel, in pixels.
      padding: 'SAME', or the number of pixels on every side.

    Returns:
      The output, [N, H', W', C].
    """
    return conv(
        x, kernel, stride=stride, dilation=dilation, padding=padding, groups=kernel.shape[-1]
    )


@depthwise_conv.on('cpu')
def shifted_depthwise_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
) -> jax.Array:
    """Computes `depthwise_conv` with one multiply-add over a shifted input per tap of the kernel.

    XLA:CPU runs grouped convolutions slowly (`scripts/benchmark_depthwise.py`).
    """
    height, width = kernel.shape[:2]
    pads = spatial_padding(x, kernel, stride, dilation, padding)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows = (x.shape[1] - dilation * (height - 1) - 1) // stride + 1
    columns = (x.shape[2] - dilation * (width - 1) - 1) // stride + 1
    values = at_least_float32(x)  # each product would be rounded before it is added
    total = jnp.zeros((), values.dtype)
    for i in range(height):
        for j in range(width):
            top, left = i * dilation, j * dilation
            shifted = values[
                :,
                top : top + (rows - 1) * stride + 1 : stride,
                left : left + (columns - 1) * stride + 1 : stride,
            ]
            # With the product first, XLA fuses both into one rounding, as in PyTorch's kernels.
            total = shifted * kernel[i, j, 0] + total
    return total.astype(x.dtype)
