"""Mobile DeepLabv3: MobileNetV2 at output stride 16, image-level pooling and a two-class map.

The network with which MMNet's authors compare theirs: the features of MobileNetV2 up to its 320
channels, not shrunk beyond a sixteenth (the last blocks are dilated instead), beside their mean
over the image; two 1×1 convolutions, and the map of two classes enlarged to the photo's size.
With atrous branches as an option: the pyramid (ASPP) of the large DeepLabs, separable.

Padding is TensorFlow's at even sizes, as in MMNet's comparison: a strided convolution pads after
the last pixel alone, so that feature i of a map looks at pixel 16 i + 15.

References:
  Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation
  (https://arxiv.org/abs/1706.05587), and Encoder-Decoder with Atrous Separable Convolution
  (https://arxiv.org/abs/1802.02611), whose published MobileNetV2 has this head.
  Sandler et al., MobileNetV2 (https://arxiv.org/abs/1801.04381), table 2 and section 6.3.
  Seo et al., Towards Real-Time Automatic Portrait Matting on Mobile Devices
  (https://arxiv.org/abs/1904.03816).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Self

import flax.linen as nn
import jax
import jax.numpy as jnp

from mattingjax.config.schema import Schema
from mattingjax.errors import ConfigError
from mattingjax.networks.layers import Conv, ConvBN
from mattingjax.networks.mobilenet_v2 import InvertedResidualConfig
from mattingjax.networks.operations import relu, relu6, sigmoid, spatial_mean, upsample_2x
from mattingjax.networks.precision import at_least_float32

# The epsilon of MMNet's authors and of MODNet's backbone; importers convert others. The decay is
# TF-Slim's for MobileNetV2: statistics of 0.9997, as MMNet's authors had it, lag by thousands of
# steps.
EPSILON, MOMENTUM = 1e-5, 0.997
OUTPUT_STRIDE = 16
# Expansion factor, channels, repeats and stride of the first: the paper's table 2.
_TABLE = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
_STEM, _HEAD = 32, 256
ASPP_RATES = (6, 12, 18)  # of the atrous branches, for output stride 16


def _geometry() -> Iterator[tuple[int, int]]:
    """Yields stride and dilation of each block.

    Where a stride would exceed the output stride, the block keeps the resolution and all later
    ones are dilated by what was not strided.
    """
    reached, dilation = 2, 1  # the stem's stride
    for _, _, repeats, first in _TABLE:
        for stride in (first, *(1,) * (repeats - 1)):
            if reached == OUTPUT_STRIDE:
                yield 1, dilation
                dilation *= stride
            else:
                yield stride, 1
                reached *= stride


GEOMETRY = tuple(_geometry())


def scale_width(width: float, multiplier: float) -> int:
    """Rounds `width` × `multiplier` to a multiple of 8 that is at least 8 and 90 % of it."""
    exact = width * multiplier
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8


def _blocks(multiplier: float) -> tuple[InvertedResidualConfig, ...]:
    blocks: list[InvertedResidualConfig] = []
    inputs = scale_width(_STEM, multiplier)
    for expansion, width, repeats, _ in _TABLE:
        for _ in range(repeats):
            stride, _ = GEOMETRY[len(blocks)]
            features = scale_width(width, multiplier)
            shortcut = stride == 1 and features == inputs
            blocks.append(
                InvertedResidualConfig(inputs * expansion, features, expansion > 1, shortcut)
            )
            inputs = features
    return tuple(blocks)


@dataclasses.dataclass(frozen=True)
class DeepLabConfig(Schema):
    """Every width of Mobile DeepLabv3; the defaults are the published ones at multiplier 1.0.

    Attributes:
      stem: The number of channels of the first convolution.
      blocks: The 17 inverted residuals of MobileNetV2.
      image_pooling: The number of channels of the convolution of the image's mean features.
      aspp: The numbers of channels of the pyramid's branches: that of the 1×1 convolution, and,
        as an option, those of three atrous ones at the rates 6, 12 and 18.
      projection: The number of channels of the 1×1 convolution that joins all of these.
      dropout: The share of the projection's values that are dropped in training, in [0, 1).
    """

    stem: int = _STEM
    blocks: tuple[InvertedResidualConfig, ...] = _blocks(1.0)
    image_pooling: int = _HEAD
    aspp: tuple[int, ...] = (_HEAD,)
    projection: int = _HEAD
    dropout: float = 0.0

    @classmethod
    def from_multiplier(cls, multiplier: float) -> Self:
        """Scales the backbone by a multiplier, 0.35, 0.5, 0.75 or 1.0; the head stays as it is.

        Raises:
          ConfigError: The multiplier is not over 0, or is over 100.
        """
        if not isinstance(multiplier, int | float) or not 0 < multiplier <= 100:
            raise ConfigError(f'width multiplier: expected over 0, at most 100, got {multiplier!r}')
        return cls(stem=scale_width(_STEM, multiplier), blocks=_blocks(multiplier))

    def validate(self) -> None:
        self.require_widths(1, 'stem', 'image_pooling', 'aspp', 'projection')
        self.require(0 <= self.dropout < 1, 'dropout', 'a share in [0, 1)')
        branches = 1 + len(ASPP_RATES)
        self.require(len(self.aspp) in (1, branches), 'aspp', f'1 or {branches} widths')
        self.require(len(self.blocks) == len(GEOMETRY), 'blocks', f'{len(GEOMETRY)} blocks')
        inputs = self.stem
        for i, (block, (stride, _)) in enumerate(zip(self.blocks, GEOMETRY, strict=True)):
            self.require(
                block.expand or block.hidden == inputs,
                f'blocks.{i}.hidden',
                f'{inputs}, the width of its input, as the block does not expand',
            )
            self.require(
                not block.shortcut or (stride == 1 and block.features == inputs),
                f'blocks.{i}.shortcut',
                f'no shortcut (stride {stride}, {inputs} channels in, {block.features} out)',
            )
            inputs = block.features


@dataclasses.dataclass(frozen=True)
class DeepLabASPPConfig(DeepLabConfig):
    """The same with the atrous branches of the pyramid."""

    aspp: tuple[int, ...] = (_HEAD,) * (1 + len(ASPP_RATES))


class ExpandedConv(nn.Module):
    """An inverted residual with TensorFlow's padding, strided or dilated.

    Attributes:
      config: The block's widths.
      stride: The stride of the depthwise convolution, 1 or 2.
      dilation: The distance between the taps of the depthwise convolution in pixels.
    """

    config: InvertedResidualConfig
    stride: int
    dilation: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        config = self.config
        y = x
        if config.expand:
            y = ConvBN(config.hidden, EPSILON, MOMENTUM, name='expand')(y, train=train)
        y = ConvBN(
            config.hidden,
            EPSILON,
            MOMENTUM,
            kernel_size=3,
            stride=self.stride,
            dilation=self.dilation,
            depthwise=True,
            name='depthwise',
        )(y, train=train)
        y = ConvBN(config.features, EPSILON, MOMENTUM, linear=True, name='project')(y, train=train)
        return x + y if config.shortcut else y


class DeepLab(nn.Module):
    """The network.

    Attributes:
      config: The widths of the network.
    """

    config: DeepLabConfig = DeepLabConfig()

    @nn.compact
    def __call__(
        self, image: jax.Array, *, train: bool = False, auxiliary: bool | None = None
    ) -> dict[str, jax.Array]:
        """Computes the alpha.

        Args:
          image: RGB images, [N, H, W, 3] in [-1, 1]; H and W are multiples of 16.
          train: Whether batch statistics are used and updated, and values dropped. Dropout needs a
            random key named `dropout`.
          auxiliary: Changes nothing, as the network has no auxiliary head.

        Returns:
          `alpha` [N, H, W, 1] in [0, 1]; `logits` [N, H, W, 2], background first.
        """
        del auxiliary
        config = self.config
        x = ConvBN(config.stem, EPSILON, MOMENTUM, kernel_size=3, stride=2, name='stem')(
            image, train=train
        )
        for i, (block, geometry) in enumerate(zip(config.blocks, GEOMETRY, strict=True)):
            x = ExpandedConv(block, *geometry, name=f'block{i}')(x, train=train)
        x = self._pyramid(x, train=train)
        x = nn.Dropout(config.dropout, deterministic=not train)(x)
        # Interpolation is linear: one channel is enlarged for the alpha in place of two.
        logits = at_least_float32(Conv(2, use_bias=True, name='logits')(x))
        alpha = sigmoid(_enlarge(logits[..., 1:] - logits[..., :1]))  # a two-class softmax
        return {'alpha': alpha, 'logits': _enlarge(logits)}

    def _pyramid(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Looks at features and at their mean over the image; [N, H/16, W/16, projection]."""

        def conv_bn_relu(width: int, name: str, x: jax.Array) -> jax.Array:
            return relu(ConvBN(width, EPSILON, MOMENTUM, linear=True, name=name)(x, train=train))

        config = self.config
        pooled = conv_bn_relu(config.image_pooling, 'image_pooling', spatial_mean(x))
        pixels = conv_bn_relu(config.aspp[0], 'aspp0', x)
        # Multiplied by a map of ones the pooled features are there at each pixel, at any size. The
        # ones are made of features, which are 0 or more: readers of exported graphs take no op that
        # repeats, a constant would fix the size, and zeros to add have no scale in eight bits.
        ones = relu6(pixels[..., :1] + 6.0) * (1 / 6)
        branches = [pooled * ones, pixels]
        for i, (width, rate) in enumerate(zip(config.aspp[1:], ASPP_RATES, strict=False), start=1):
            y = ConvBN(
                x.shape[-1],
                EPSILON,
                MOMENTUM,
                kernel_size=3,
                dilation=rate,
                depthwise=True,
                linear=True,
                name=f'aspp{i}_depthwise',
            )(x, train=train)
            branches.append(conv_bn_relu(width, f'aspp{i}_pointwise', relu(y)))
        return conv_bn_relu(config.projection, 'concat_projection', jnp.concatenate(branches, -1))


def _enlarge(x: jax.Array) -> jax.Array:
    """Enlarges a map sixteenfold, bilinearly: source = destination / 16, the border repeated.

    The published network enlarges 33 to 513 pixels with its corners aligned: the same map, but for
    the fifteen pixels beyond the last corner. Doublings without half-pixel centres make it.
    (MMNet's authors align the corners of 16 and 256 pixels, which are 17 apart.)
    """
    stride = OUTPUT_STRIDE
    while stride > 1:
        x, stride = upsample_2x(x, half_pixel=False), stride // 2
    return x
