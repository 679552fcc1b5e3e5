"""MobileNetV2 as MODNet uses it: a feature extractor with explicit widths and shortcuts.

References:
  Sandler et al., MobileNetV2 (https://arxiv.org/abs/1801.04381), table 2.
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax

from mattingjax.config.schema import Schema
from mattingjax.networks.channel_groups import RGB, Features, GroupBuilder
from mattingjax.networks.layers import ConvBN

EPSILON, MOMENTUM = 1e-5, 0.9
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)  # of each block
# The blocks, counted from 1, whose outputs at strides 2 and 4 feed MODNet's other branches.
ENC2X, ENC4X = 1, 3


@dataclasses.dataclass(frozen=True)
class InvertedResidualConfig(Schema):
    """The widths of an inverted residual, and whether it has a shortcut.

    Attributes:
      hidden: The number of channels of the depthwise convolution.
      features: The number of channels of the output.
      expand: Whether a 1×1 convolution widens the input to `hidden` channels; without one the input
        must have that many already.
      shortcut: Whether the input is added to the output. It is never inferred from the widths,
        since a pruned block may have equal widths and no shortcut.
    """

    hidden: int
    features: int
    expand: bool = True
    shortcut: bool = False

    def validate(self) -> None:
        self.require_widths(1, 'hidden', 'features')


def _published_blocks() -> tuple[InvertedResidualConfig, ...]:
    blocks, width = [], 32
    # Expansion factor, features and repeats are those of table 2 of the paper.
    for expansion, features, repeats in (
        (1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1),
    ):  # fmt: skip
        for repeat in range(repeats):
            blocks.append(
                InvertedResidualConfig(width * expansion, features, expansion != 1, repeat > 0)
            )
            width = features
    return tuple(blocks)


@dataclasses.dataclass(frozen=True)
class MobileNetV2Config(Schema):
    """The widths of the backbone.

    Attributes:
      stem: The number of channels of the first convolution.
      blocks: The 17 inverted residuals.
      last: The number of channels of the last 1×1 convolution.
    """

    stem: int = 32
    blocks: tuple[InvertedResidualConfig, ...] = _published_blocks()
    last: int = 1280

    def validate(self) -> None:
        self.require_widths(1, 'stem', 'last')
        self.require(len(self.blocks) == len(STRIDES), 'blocks', f'{len(STRIDES)} blocks')
        width = self.stem
        for i, (block, stride) in enumerate(zip(self.blocks, STRIDES, strict=True)):
            self.require(
                block.expand or block.hidden == width,
                f'blocks.{i}.hidden',
                f'{width}, the width of its input, as the block does not expand',
            )
            self.require(
                not block.shortcut or (stride == 1 and block.features == width),
                f'blocks.{i}.shortcut',
                f'no shortcut (stride {stride}, {width} channels in, {block.features} out)',
            )
            width = block.features


class InvertedResidual(nn.Module):
    """A block of MobileNetV2: expansion, depthwise convolution and linear projection.

    Attributes:
      config: The block's widths.
      stride: The stride of the depthwise convolution, 1 or 2.
    """

    config: InvertedResidualConfig
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        hidden = x
        if self.config.expand:
            hidden = ConvBN(self.config.hidden, EPSILON, MOMENTUM, name='expand')(x, train=train)
        hidden = ConvBN(
            self.config.hidden,
            EPSILON,
            MOMENTUM,
            kernel_size=3,
            stride=self.stride,
            padding=1,
            depthwise=True,
            name='depthwise',
        )(hidden, train=train)
        y = ConvBN(self.config.features, EPSILON, MOMENTUM, linear=True, name='project')(
            hidden, train=train
        )
        return x + y if self.config.shortcut else y


class MobileNetV2(nn.Module):
    """The backbone, from images [N, H, W, 3] in [-1, 1] to features at strides 2, 4 and 32.

    Attributes:
      config: The backbone's widths.
    """

    config: MobileNetV2Config

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
        # The names are the published checkpoints': features_0 is the stem, features_18 the last.
        taps = {}
        x = ConvBN(
            self.config.stem,
            EPSILON,
            MOMENTUM,
            kernel_size=3,
            stride=2,
            padding=1,
            name='features_0',
        )(image, train=train)
        for i, (block, stride) in enumerate(zip(self.config.blocks, STRIDES, strict=True), start=1):
            x = taps[i] = InvertedResidual(block, stride, name=f'features_{i}')(x, train=train)
        last = f'features_{len(self.config.blocks) + 1}'
        x = ConvBN(self.config.last, EPSILON, MOMENTUM, name=last)(x, train=train)
        return taps[ENC2X], taps[ENC4X], x


def walk_mobilenet_v2(
    builder: GroupBuilder, config: MobileNetV2Config
) -> tuple[Features, Features, Features]:
    """Adds the backbone's layers to a builder; returns the features at strides 2, 4 and 32."""
    taps = {}
    x = builder.conv_bn('backbone/features_0', RGB, 'backbone.stem')
    for i, block in enumerate(config.blocks, start=1):
        path, field = f'backbone/features_{i}', f'backbone.blocks.{i - 1}'
        if block.expand:
            hidden = builder.conv_bn(f'{path}/expand', x, f'{field}.hidden')
        else:
            builder.join(f'{field}.hidden', x)
            hidden = x
        builder.depthwise_bn(f'{path}/depthwise', hidden)
        if block.shortcut:
            builder.join(f'{field}.features', x)
        x = taps[i] = builder.conv_bn(f'{path}/project', hidden, f'{field}.features')
    last = f'backbone/features_{len(config.blocks) + 1}'
    return taps[ENC2X], taps[ENC4X], builder.conv_bn(last, x, 'backbone.last')
