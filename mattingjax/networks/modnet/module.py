"""MODNet: portrait matting from one photo, without a trimap.

A low-resolution branch finds the person (semantic), a high-resolution branch the border (detail),
a fusion branch the matte.

References:
  Ke et al., MODNet (https://arxiv.org/abs/2011.11961).
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from mattingjax.config.schema import Schema
from mattingjax.networks.layers import BatchNorm, Conv
from mattingjax.networks.mobilenet_v2 import EPSILON, MOMENTUM, MobileNetV2, MobileNetV2Config
from mattingjax.networks.operations import (
    downsample,
    ib_norm,
    relu,
    sigmoid,
    spatial_mean,
    upsample_2x,
)


@dataclasses.dataclass(frozen=True)
class MODNetConfig(Schema):
    """Every width of MODNet, under the name of the published layer; the defaults are published.

    Attributes:
      backbone: The widths of MobileNetV2.
      se_hidden: The hidden width of the squeeze-and-excitation block on the backbone's last
        features.
      conv_lr16x, conv_lr8x: The widths of the low-resolution branch.
      tohr_enc2x, conv_enc2x, tohr_enc4x, conv_enc4x: The widths of the convolutions that take the
        backbone's features into the high-resolution branch.
      conv_hr4x, conv_hr2x: The widths of the high-resolution branch, one per convolution.
      conv_hr: The width of the detail head, which only training needs.
      conv_lr4x, conv_f2x, conv_f: The widths of the fusion branch.
    """

    backbone: MobileNetV2Config = MobileNetV2Config()  # noqa: RUF009 (frozen)
    se_hidden: int = 320
    conv_lr16x: int = 96
    conv_lr8x: int = 32
    tohr_enc2x: int = 32
    conv_enc2x: int = 32
    tohr_enc4x: int = 32
    conv_enc4x: int = 64
    conv_hr4x: tuple[int, int, int] = (64, 64, 32)
    conv_hr2x: tuple[int, int, int, int] = (64, 32, 32, 32)
    conv_hr: int = 32
    conv_lr4x: int = 32
    conv_f2x: int = 32
    conv_f: int = 16

    def validate(self) -> None:
        self.require_widths(1, 'se_hidden')
        names = [field.name for field in dataclasses.fields(self)]
        # IBNorm needs one channel for each of its two halves.
        self.require_widths(2, *(name for name in names if name not in ('backbone', 'se_hidden')))


class ConvIBNormReLU(nn.Module):
    """A convolution with bias, IBNorm and ReLU: the unit of which MODNet's branches are made.

    IBNorm batch-normalises the first half of the channels (the smaller half where the number is
    odd) and instance-normalises the second, which has no parameters.

    Attributes:
      features: The number of output channels, at least 2.
      kernel_size: The side of the square kernel in pixels.
      stride: The stride along both axes in pixels.

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
        bn = BatchNorm(use_running_average=not train, momentum=MOMENTUM, epsilon=EPSILON, name='bn')
        return relu(ib_norm(x, self.features // 2, bn))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate that is computed from the means of all channels.

    Attributes:
      hidden: The number of hidden channels.

    References:
      Hu et al., Squeeze-and-Excitation Networks (https://arxiv.org/abs/1709.01507).
    """

    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        gate = spatial_mean(x)
        gate = relu(Conv(self.hidden, name='fc_0')(gate))
        return x * sigmoid(Conv(x.shape[-1], name='fc_2')(gate)).astype(x.dtype)


class LowResolutionBranch(nn.Module):
    """The branch that finds the person; `config` holds the network's widths."""

    config: MODNetConfig

    @nn.compact
    def __call__(
        self, enc32x: jax.Array, *, train: bool, auxiliary: bool
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns features at stride 8 and, if `auxiliary`, the semantic matte at stride 16."""
        x = SqueezeExcitation(self.config.se_hidden, name='se_block')(enc32x)
        lr16x = ConvIBNormReLU(self.config.conv_lr16x, 5, name='conv_lr16x')(
            upsample_2x(x, half_pixel=True), train=train
        )
        lr8x = ConvIBNormReLU(self.config.conv_lr8x, 5, name='conv_lr8x')(
            upsample_2x(lr16x, half_pixel=True), train=train
        )
        if not auxiliary:
            return lr8x, None
        logit = Conv(1, 3, stride=2, padding=1, use_bias=True, name='conv_lr')(lr8x)
        return lr8x, sigmoid(logit)


class HighResolutionBranch(nn.Module):
    """The branch that finds the person's border; `config` holds the network's widths."""

    config: MODNetConfig

    @nn.compact
    def __call__(
        self,
        image: jax.Array,
        enc2x: jax.Array,
        enc4x: jax.Array,
        lr8x: jax.Array,
        *,
        train: bool,
        auxiliary: bool,
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns features at stride 2 and, if `auxiliary`, the detail matte at stride 1."""
        config = self.config
        enc2x = ConvIBNormReLU(config.tohr_enc2x, 1, name='tohr_enc2x')(enc2x, train=train)
        x = jnp.concatenate([downsample(image, 2), enc2x], axis=-1)
        x = ConvIBNormReLU(config.conv_enc2x, stride=2, name='conv_enc2x')(x, train=train)
        enc4x = ConvIBNormReLU(config.tohr_enc4x, 1, name='tohr_enc4x')(enc4x, train=train)
        x = jnp.concatenate([x, enc4x], axis=-1)
        x = ConvIBNormReLU(config.conv_enc4x, name='conv_enc4x')(x, train=train)

        lr4x = upsample_2x(lr8x, half_pixel=True)
        x = jnp.concatenate([x, lr4x, downsample(image, 4)], axis=-1)
        for i, features in enumerate(config.conv_hr4x):
            x = ConvIBNormReLU(features, name=f'conv_hr4x_{i}')(x, train=train)

        x = jnp.concatenate([upsample_2x(x, half_pixel=True), enc2x], axis=-1)
        for i, features in enumerate(config.conv_hr2x):
            x = ConvIBNormReLU(features, name=f'conv_hr2x_{i}')(x, train=train)
        hr2x = x
        if not auxiliary:
            return hr2x, None
        x = jnp.concatenate([upsample_2x(hr2x, half_pixel=True), image], axis=-1)
        x = ConvIBNormReLU(config.conv_hr, name='conv_hr_0')(x, train=train)
        return hr2x, sigmoid(Conv(1, use_bias=True, name='conv_hr_1')(x))


class FusionBranch(nn.Module):
    """The branch that computes the matte; `config` holds the network's widths."""

    config: MODNetConfig

    @nn.compact
    def __call__(
        self, image: jax.Array, lr8x: jax.Array, hr2x: jax.Array, *, train: bool
    ) -> jax.Array:
        x = upsample_2x(lr8x, half_pixel=True)
        x = ConvIBNormReLU(self.config.conv_lr4x, 5, name='conv_lr4x')(x, train=train)
        x = jnp.concatenate([upsample_2x(x, half_pixel=True), hr2x], axis=-1)
        x = ConvIBNormReLU(self.config.conv_f2x, name='conv_f2x')(x, train=train)
        x = jnp.concatenate([upsample_2x(x, half_pixel=True), image], axis=-1)
        x = ConvIBNormReLU(self.config.conv_f, name='conv_f_0')(x, train=train)
        return sigmoid(Conv(1, use_bias=True, name='conv_f_1')(x))


class MODNet(nn.Module):
    """The network.

    Attributes:
      config: The widths of the network.
    """

    config: MODNetConfig = MODNetConfig()

    @nn.compact
    def __call__(
        self, image: jax.Array, *, train: bool = False, auxiliary: bool | None = None
    ) -> dict[str, jax.Array]:
        """Computes the matte and, when asked, the other outputs that the training losses compare.

        Args:
          image: RGB images, [N, H, W, 3] in [-1, 1]; H and W are multiples of 32.
          train: Whether batch statistics are used and updated.
          auxiliary: Whether the semantic and detail heads are computed; None computes them when
            `train` is set.

        Returns:
          `alpha` [N, H, W, 1] in [0, 1] (the paper's matte); if `auxiliary`, `semantic`
          [N, H/16, W/16, 1] and `detail` [N, H, W, 1], both in [0, 1].
        """
        auxiliary = train if auxiliary is None else auxiliary
        enc2x, enc4x, enc32x = MobileNetV2(self.config.backbone, name='backbone')(
            image, train=train
        )
        lr8x, semantic = LowResolutionBranch(self.config, name='lr_branch')(
            enc32x, train=train, auxiliary=auxiliary
        )
        hr2x, detail = HighResolutionBranch(self.config, name='hr_branch')(
            image, enc2x, enc4x, lr8x, train=train, auxiliary=auxiliary
        )
        alpha = FusionBranch(self.config, name='f_branch')(image, lr8x, hr2x, train=train)
        outputs = {'alpha': alpha}
        if semantic is not None and detail is not None:
            outputs |= {'semantic': semantic, 'detail': detail}
        return outputs
