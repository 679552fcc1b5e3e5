"""Layers that both networks are made of. NHWC, float32, kernels [height, width, in, out].

Every operation that an exporter or a backend may want to lower in its own way (depthwise
convolution, resizing, relu6, instance normalisation) is a plain function here and nowhere else.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

Padding = str | int  # 'SAME' as in TensorFlow, or as many pixels on every side as in PyTorch


def relu6(x: jax.Array) -> jax.Array:
    """min(max(x, 0), 6)."""
    return jnp.clip(x, 0.0, 6.0)


def instance_norm(x: jax.Array, epsilon: float = 1e-5) -> jax.Array:
    """Normalises each channel of each image to mean 0 and variance 1; no parameters.

    Args:
      x: [N, H, W, C].
      epsilon: Added to the biased variance.

    Returns:
      [N, H, W, C].

    References:
      Ulyanov et al., Instance Normalization (https://arxiv.org/abs/1607.08022).
    """
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=(1, 2), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + epsilon)


def upsample_2x(x: jax.Array, *, half_pixel: bool) -> jax.Array:
    """Doubles height and width by bilinear interpolation.

    With `half_pixel` the centres of the pixels are aligned (PyTorch's `align_corners=False`):
    each output is ¾ of the nearer input and ¼ of the next. Without, it is TensorFlow 1's legacy
    form, source = destination / 2: even outputs are inputs, odd ones the mean of two. The border
    is repeated.

    Args:
      x: [N, H, W, C].
      half_pixel: Which of the two.

    Returns:
      [N, 2H, 2W, C].
    """
    for axis in (1, 2):
        size = x.shape[axis]
        following = jnp.concatenate(
            [
                jax.lax.slice_in_dim(x, 1, size, axis=axis),
                jax.lax.slice_in_dim(x, size - 1, size, axis=axis),
            ],
            axis=axis,
        )
        if half_pixel:
            previous = jnp.concatenate(
                [
                    jax.lax.slice_in_dim(x, 0, 1, axis=axis),
                    jax.lax.slice_in_dim(x, 0, size - 1, axis=axis),
                ],
                axis=axis,
            )
            even, odd = 0.75 * x + 0.25 * previous, 0.75 * x + 0.25 * following
        else:
            even, odd = x, 0.5 * (x + following)
        shape = (*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])
        x = jnp.stack([even, odd], axis=axis + 1).reshape(shape)
    return x


def downsample(x: jax.Array, factor: int) -> jax.Array:
    """Divides height and width by an even factor; half-pixel bilinear without antialiasing.

    Half-pixel centres put each output exactly between the two middle ones of `factor` inputs, so
    it is the mean of those two along each axis (PyTorch's `interpolate(scale_factor=1/factor)`).

    Args:
      x: [N, H, W, C]; H and W are multiples of `factor`.
      factor: 2 or 4 (any even number).

    Returns:
      [N, H / factor, W / factor, C].
    """
    first = factor // 2 - 1
    rows = x[:, first::factor] + x[:, first + 1 :: factor]
    return 0.25 * (rows[:, :, first::factor] + rows[:, :, first + 1 :: factor])


def explicit_padding(
    size: int, kernel_size: int, stride: int, dilation: int, padding: Padding
) -> tuple[int, int]:
    """Pixels to add before and after one spatial axis of `size` pixels."""
    if padding != 'SAME':
        return int(padding), int(padding)
    output_size = -(-size // stride)
    reach = dilation * (kernel_size - 1) + 1
    total = max((output_size - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _spatial_padding(
    x: jax.Array, kernel: jax.Array, stride: int, dilation: int, padding: Padding
) -> list[tuple[int, int]]:
    return [
        explicit_padding(size, taps, stride, dilation, padding)
        for size, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    ]


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
    groups: int = 1,
) -> jax.Array:
    """Convolution: [N, H, W, C] with a kernel [h, w, C / groups, features]."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=_spatial_padding(x, kernel, stride, dilation, padding),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=groups,
    )


def depthwise_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
) -> jax.Array:
    """Convolves each channel with its own filter.

    XLA:CPU runs grouped convolutions slowly (`scripts/benchmark.py` measures it), so there each tap
    of the kernel is one multiply-add over a shifted view of the input; other backends get the
    grouped convolution. Both read the same kernel.

    Args:
      x: [N, H, W, C].
      kernel: [h, w, 1, C].
      stride: Of the output, the same along both axes.
      dilation: Distance between the taps, in pixels.
      padding: 'SAME', or pixels on every side.

    Returns:
      [N, H', W', C].
    """
    if jax.default_backend() != 'cpu':
        return conv(
            x, kernel, stride=stride, dilation=dilation, padding=padding, groups=kernel.shape[-1]
        )
    height, width = kernel.shape[:2]
    pads = _spatial_padding(x, kernel, stride, dilation, padding)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows = (x.shape[1] - dilation * (height - 1) - 1) // stride + 1
    columns = (x.shape[2] - dilation * (width - 1) - 1) // stride + 1
    total = jnp.zeros((), x.dtype)
    for i in range(height):
        for j in range(width):
            top, left = i * dilation, j * dilation
            shifted = x[
                :,
                top : top + (rows - 1) * stride + 1 : stride,
                left : left + (columns - 1) * stride + 1 : stride,
            ]
            # The product first: so it is fused into one rounding, as in PyTorch's kernels.
            total = shifted * kernel[i, j, 0] + total
    return total


class Conv(nn.Module):
    """A convolution, dense or depthwise; parameters `kernel` [h, w, in, out] and maybe `bias`."""

    features: int
    kernel_size: int = 1
    stride: int = 1
    dilation: int = 1
    padding: Padding = 'SAME'
    depthwise: bool = False
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = (self.kernel_size, self.kernel_size)
        channels = x.shape[-1]
        fan_in = 1 if self.depthwise else channels
        kernel = self.param(
            'kernel', nn.initializers.he_normal(), (*size, fan_in, self.features), jnp.float32
        )
        convolve = depthwise_conv if self.depthwise else conv
        x = convolve(x, kernel, stride=self.stride, dilation=self.dilation, padding=self.padding)
        if self.use_bias:
            x = x + self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
        return x


class BatchNorm(nn.BatchNorm):
    """Flax's batch normalisation; in inference one multiply-add per value, as PyTorch computes it.

    The same function as Flax's, but rounded like the original's: MODNet's backbone amplifies
    rounding errors. In training the running variance is of the biased kind, as
    Flax has it (PyTorch and TensorFlow keep n / (n − 1) times it).
    """

    use_fast_variance: bool = False  # E[x²] − E[x]² loses all digits where the mean is large

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        if not self.use_running_average or self.is_initializing():
            return super().__call__(x)
        mean: jax.Array = self.get_variable('batch_stats', 'mean')
        variance: jax.Array = self.get_variable('batch_stats', 'var')
        # The barrier keeps XLA from making an approximate reciprocal square root of it.
        deviation = jax.lax.optimization_barrier(jnp.sqrt(variance + self.epsilon))
        scale = 1 / deviation * self.get_variable('params', 'scale')
        return x * scale + (self.get_variable('params', 'bias') - mean * scale)


class ConvBN(nn.Module):
    """Convolution without bias, batch normalisation and, unless `linear`, relu6."""

    features: int
    epsilon: float
    momentum: float
    kernel_size: int = 1
    stride: int = 1
    dilation: int = 1
    padding: Padding = 'SAME'
    depthwise: bool = False
    linear: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = Conv(
            self.features,
            self.kernel_size,
            self.stride,
            self.dilation,
            self.padding,
            self.depthwise,
            name='conv',
        )(x)
        x = BatchNorm(
            use_running_average=not train, momentum=self.momentum, epsilon=self.epsilon, name='bn'
        )(x)
        return x if self.linear else relu6(x)


class ConvIBNormReLU(nn.Module):
    """Convolution with bias, IBNorm and ReLU: the unit that MODNet's branches are made of.

    IBNorm batch-normalises the first half of the channels (the smaller half where the number is
    odd) and instance-normalises the second, which has no parameters.

    References:
      Pan et al., Two at Once (https://arxiv.org/abs/1807.09441).
    """

    features: int
    kernel_size: int = 3
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = Conv(
            self.features,
            self.kernel_size,
            self.stride,
            padding=self.kernel_size // 2,
            use_bias=True,
            name='conv',
        )(x)
        half = self.features // 2
        batch_normed = BatchNorm(
            use_running_average=not train, momentum=0.9, epsilon=1e-5, name='bn'
        )(x[..., :half])
        x = jnp.concatenate([batch_normed, instance_norm(x[..., half:])], axis=-1)
        return nn.relu(x)
