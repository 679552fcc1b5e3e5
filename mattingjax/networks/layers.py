"""Layers that both networks are made of: parameters around `operations`. NHWC, float32."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mattingjax.networks.operations import (
    Padding,
    add_bias,
    batch_norm,
    batch_norm_training,
    conv,
    depthwise_conv,
    ib_norm,
    relu,
    relu6,
)


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
            bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
            x = add_bias(x, bias)
        return x


class BatchNorm(nn.BatchNorm):
    """Flax's batch normalisation; in inference it is `operations.batch_norm`.

    In training the running variance is of the biased kind, as Flax has it (PyTorch and TensorFlow
    keep n / (n − 1) times it).
    """

    use_fast_variance: bool = False  # E[x²] − E[x]² loses all digits where the mean is large

    @nn.compact
    def __call__(  # type: ignore[override]
        self,
        x: jax.Array,
        *,
        use_running_average: bool | None = None,
        momentum: float | jax.Array | None = None,
    ) -> jax.Array:
        """Normalises; arguments that are given win over the attributes of their names."""
        if use_running_average is None:
            use_running_average = self.use_running_average
        if momentum is None:
            momentum = self.momentum
        if self.is_initializing():
            return super().__call__(x)
        scale: jax.Array = self.get_variable('params', 'scale')
        bias: jax.Array = self.get_variable('params', 'bias')
        running: dict[str, jax.Array] = {
            name: self.get_variable('batch_stats', name) for name in ('mean', 'var')
        }
        if use_running_average:
            return batch_norm(x, running['mean'], running['var'], scale, bias, self.epsilon)
        y, mean, variance = batch_norm_training(x, scale, bias, self.epsilon)
        if self.is_mutable_collection('batch_stats'):
            for name, value in (('mean', mean), ('var', variance)):
                value = momentum * running[name] + (1 - momentum) * value
                self.put_variable('batch_stats', name, value)
        return y


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
        bn = BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, name='bn')
        return relu(ib_norm(x, self.features // 2, bn))
