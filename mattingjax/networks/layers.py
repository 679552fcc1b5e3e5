"""The layers of the networks, which hold the float32 parameters of `operations`; NHWC."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mattingjax.networks.operations import (
    add_bias,
    batch_norm,
    batch_norm_training,
    conv,
    depthwise_conv,
    he_normal,
    relu6,
)
from mattingjax.networks.padding import Padding


class Conv(nn.Module):
    """A convolution with the parameters `kernel` [h, w, in, out] and, if wanted, `bias` [out].

    Attributes:
      features: The number of output channels.
      kernel_size: The side of the square kernel in pixels.
      stride: The stride along both axes in pixels.
      dilation: The distance between the taps of the kernel in pixels.
      padding: 'SAME', or the number of pixels on every side.
      depthwise: Whether each channel has its own filter.
      use_bias: Whether a bias is added.
    """

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
        kernel = self.param('kernel', he_normal, (*size, fan_in, self.features))
        convolve = depthwise_conv if self.depthwise else conv
        x = convolve(x, kernel, stride=self.stride, dilation=self.dilation, padding=self.padding)
        if self.use_bias:
            bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
            x = add_bias(x, bias)
        return x


class BatchNorm(nn.Module):
    """Batch normalisation with the variables of Flax's, computed by `operations`.

    Training averages the biased variances of the batches, as Flax does; PyTorch and TensorFlow
    average n / (n − 1) times these.

    Attributes:
      use_running_average: Whether the running statistics are used, and not the batch's.
      momentum: The decay of the running statistics, in [0, 1).
      epsilon: The number that is added to the variance.
    """

    use_running_average: bool
    momentum: float
    epsilon: float

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        use_running_average: bool | None = None,
        momentum: float | jax.Array | None = None,
    ) -> jax.Array:
        """Normalises an array [N, H, W, C].

        Args:
          x: The array.
          use_running_average: Whether the running statistics are used, and not the batch's; the
            attribute of this name if None.
          momentum: The decay of the running statistics, in [0, 1); the attribute if None.

        Returns:
          The normalised array, [N, H, W, C].
        """
        if use_running_average is None:
            use_running_average = self.use_running_average
        if momentum is None:
            momentum = self.momentum
        if self.is_initializing():
            shape = x.shape[-1:]
            for name, first in (('scale', 1), ('bias', 0)):
                self.param(name, nn.initializers.constant(first), shape, jnp.float32)
            for name, first in (('mean', 0), ('var', 1)):
                self.variable('batch_stats', name, jnp.full, shape, first, jnp.float32)
        scale: jax.Array = self.get_variable('params', 'scale')
        bias: jax.Array = self.get_variable('params', 'bias')
        running: dict[str, jax.Array] = {
            name: self.get_variable('batch_stats', name) for name in ('mean', 'var')
        }
        if use_running_average:
            return batch_norm(x, running['mean'], running['var'], scale, bias, self.epsilon)
        y, mean, variance = batch_norm_training(x, scale, bias, self.epsilon)
        if self.is_mutable_collection('batch_stats') and not self.is_initializing():
            for name, value in (('mean', mean), ('var', variance)):
                value = momentum * running[name] + (1 - momentum) * value
                self.put_variable('batch_stats', name, value)
        return y


class ConvBN(nn.Module):
    """A convolution without bias, batch normalisation and, unless it is linear, ReLU6.

    Attributes:
      features: The number of output channels.
      epsilon: The number that is added to the variance.
      momentum: The decay of the running statistics, in [0, 1).
      kernel_size: The side of the square kernel in pixels.
      stride: The stride along both axes in pixels.
      dilation: The distance between the taps of the kernel in pixels.
      padding: 'SAME', or the number of pixels on every side.
      depthwise: Whether each channel has its own filter.
      linear: Whether ReLU6 is left out.
    """

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
