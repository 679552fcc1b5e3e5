"""MMNet: matting at 256×256 in about 0.2 M parameters, for phones.

Encoder blocks of parallel dilated depthwise convolutions and a linear bottleneck, a decoder with
short-cuts from the encoder, refinement by two more encoder blocks, and an auxiliary head.

References:
  Seo et al., Towards Real-Time Automatic Portrait Matting on Mobile Devices
  (https://arxiv.org/abs/1904.03816), table 1.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import flax.linen as nn
import jax
import jax.numpy as jnp

from mattingjax.config.schema import Schema
from mattingjax.errors import ConfigError
from mattingjax.networks.layers import Conv, ConvBN
from mattingjax.networks.operations import sigmoid, upsample_2x
from mattingjax.networks.precision import at_least_float32

EPSILON, MOMENTUM = 1e-3, 0.999
DOWN = (0, 4, 8)  # encoder blocks that halve the resolution
# The dilation rates of the branches of each block, of the encoder and of the refinement.
RATES = ((1, 2, 4, 8),) * 4 + ((1, 2, 4),) * 4 + ((1, 2),) * 2
REFINEMENT_RATES = ((1, 2, 4),) * 2


def scale_width(width: int, multiplier: float) -> int:
    """Rounds `width` × `multiplier` to a multiple of 8, at least 8, as the original does."""
    return max(8, (round(width * multiplier) + 4) // 8 * 8)


@dataclasses.dataclass(frozen=True)
class EncoderBlockConfig(Schema):
    """The widths of a block with parallel branches.

    Attributes:
      expanded: The number of channels of each branch.
      features: The number of channels of the output.
    """

    expanded: tuple[int, ...]
    features: int

    def validate(self) -> None:
        self.require_widths(1, 'expanded', 'features')


def _blocks(
    widths: tuple[tuple[int, int], ...], rates: tuple[tuple[int, ...], ...]
) -> tuple[EncoderBlockConfig, ...]:
    return tuple(
        EncoderBlockConfig((expanded,) * len(branches), features)
        for (expanded, features), branches in zip(widths, rates, strict=True)
    )


@dataclasses.dataclass(frozen=True)
class MMNetConfig(Schema):
    """Every width of MMNet; the defaults are the paper's at width multiplier 1.0.

    Attributes:
      init: The number of channels of the first convolution.
      encoder: The widths of enc_block0 to enc_block9.
      compressed: The numbers of channels of the 1×1 convolutions of dec_block0 and dec_block1,
        before up-sampling.
      shortcut: The numbers of channels of the same blocks' short-cuts, from enc_block4 and
        enc_block0.
      refinement: The widths of dec_block2 and dec_block3.
      final: The number of channels of dec_block4's 1×1 convolution.
      dropout: The share of values that are dropped after each encoder block in training, in [0, 1).
    """

    init: int = 32
    encoder: tuple[EncoderBlockConfig, ...] = _blocks(
        ((16, 16), (16, 24), (24, 24), (24, 24), (32, 40), (64, 40), (64, 40), (64, 40), (80, 80),
         (120, 80)),
        RATES,
    )  # fmt: skip
    compressed: tuple[int, int] = (64, 40)
    shortcut: tuple[int, int] = (64, 40)
    refinement: tuple[EncoderBlockConfig, ...] = _blocks(((40, 40), (40, 40)), REFINEMENT_RATES)
    final: int = 16
    dropout: float = 0.0

    @classmethod
    def from_multiplier(cls, multiplier: float) -> Self:
        """Scales the widths by a multiplier; the paper's are 0.5, 0.75, 1.0 and 1.4.

        Raises:
          ConfigError: The multiplier is not over 0, or is over 100.
        """
        if not isinstance(multiplier, int | float) or not 0 < multiplier <= 100:
            raise ConfigError(f'width multiplier: expected over 0, at most 100, got {multiplier!r}')

        def scale(widths: tuple[int, ...]) -> tuple[Any, ...]:
            return tuple(scale_width(width, multiplier) for width in widths)

        def scale_blocks(
            blocks: tuple[EncoderBlockConfig, ...],
        ) -> tuple[EncoderBlockConfig, ...]:
            return tuple(
                EncoderBlockConfig(scale(block.expanded), *scale((block.features,)))
                for block in blocks
            )

        base = cls()
        return dataclasses.replace(
            base,
            init=scale_width(base.init, multiplier),
            encoder=scale_blocks(base.encoder),
            compressed=scale(base.compressed),
            shortcut=scale(base.shortcut),
            refinement=scale_blocks(base.refinement),
            final=scale_width(base.final, multiplier),
        )

    def validate(self) -> None:
        self.require_widths(1, 'init', 'compressed', 'shortcut', 'final')
        self.require(0 <= self.dropout < 1, 'dropout', 'a share in [0, 1)')
        for name, rates in (('encoder', RATES), ('refinement', REFINEMENT_RATES)):
            blocks = getattr(self, name)
            self.require(len(blocks) == len(rates), name, f'{len(rates)} blocks')
            for i, (block, branches) in enumerate(zip(blocks, rates, strict=True)):
                self.require(
                    len(block.expanded) == len(branches),
                    f'{name}.{i}.expanded',
                    f'{len(branches)} widths, one for each of the dilation rates {branches}',
                )


class EncoderBlock(nn.Module):
    """A block of parallel dilated depthwise convolutions and a 1×1 convolution that merges them.

    Attributes:
      config: The block's widths.
      rates: The dilation rate of each branch.
      stride: The stride of the block, 1 or 2.
      dropout: The share of the output's values that are dropped in training, in [0, 1).
      linear: Whether the output has no ReLU6.
    """

    config: EncoderBlockConfig
    rates: tuple[int, ...]
    stride: int
    dropout: float
    linear: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        branches = []
        for i, (width, rate) in enumerate(zip(self.config.expanded, self.rates, strict=True)):
            branch = ConvBN(width, EPSILON, MOMENTUM, name=f'branch{i}_pointwise')(x, train=train)
            if self.stride > 1:
                branch = ConvBN(
                    width,
                    EPSILON,
                    MOMENTUM,
                    kernel_size=3,
                    stride=self.stride,
                    depthwise=True,
                    name=f'branch{i}_stride',
                )(branch, train=train)
            branch = ConvBN(
                width,
                EPSILON,
                MOMENTUM,
                kernel_size=3,
                dilation=rate,
                depthwise=True,
                name=f'branch{i}_dilation',
            )(branch, train=train)
            branches.append(branch)
        x = jnp.concatenate(branches, axis=-1)
        x = ConvBN(self.config.features, EPSILON, MOMENTUM, linear=self.linear, name='merge')(
            x, train=train
        )
        return nn.Dropout(self.dropout, deterministic=not train)(x)


class DecoderBlock(nn.Module):
    """A block that doubles the resolution and concatenates a short-cut from the encoder.

    Attributes:
      compressed: The number of channels that are enlarged.
      shortcut: The number of channels of the short-cut.
    """

    compressed: int
    shortcut: int

    @nn.compact
    def __call__(self, x: jax.Array, encoder_features: jax.Array, *, train: bool) -> jax.Array:
        x = ConvBN(self.compressed, EPSILON, MOMENTUM, name='pointwise')(x, train=train)
        shortcut = ConvBN(
            encoder_features.shape[-1],
            EPSILON,
            MOMENTUM,
            kernel_size=3,
            depthwise=True,
            name='shortcut_depthwise',
        )(encoder_features, train=train)
        shortcut = ConvBN(self.shortcut, EPSILON, MOMENTUM, name='shortcut_pointwise')(
            shortcut, train=train
        )
        return jnp.concatenate([upsample_2x(x, half_pixel=False), shortcut], axis=-1)


def _enlarge(x: jax.Array) -> jax.Array:
    return upsample_2x(upsample_2x(x, half_pixel=False), half_pixel=False)


class MMNet(nn.Module):
    """The network.

    Attributes:
      config: The widths of the network.
    """

    config: MMNetConfig = MMNetConfig()

    @nn.compact
    def __call__(
        self, image: jax.Array, *, train: bool = False, auxiliary: bool | None = None
    ) -> dict[str, jax.Array]:
        """Computes the alpha and, when asked, the auxiliary head.

        Args:
          image: RGB images, [N, H, W, 3] in [0, 1]; H and W are multiples of 16.
          train: Whether batch statistics are used and updated, and values dropped. Dropout needs a
            random key named `dropout`.
          auxiliary: Whether the auxiliary head is computed; None computes it when `train` is set.

        Returns:
          `alpha` [N, H, W, 1] in [0, 1]; `logits` [N, H, W, 2], background first; if `auxiliary`,
          `aux_logits` [N, H/16, W/16, 2].
        """
        auxiliary = train if auxiliary is None else auxiliary
        config = self.config
        x = ConvBN(config.init, EPSILON, MOMENTUM, kernel_size=3, stride=2, name='init_block')(
            image, train=train
        )
        features = []
        for i, (block, rates) in enumerate(zip(config.encoder, RATES, strict=True)):
            x = EncoderBlock(
                block,
                rates,
                stride=2 if i in DOWN else 1,
                dropout=config.dropout,
                linear=i < len(RATES) - 1,
                name=f'enc_block{i}',
            )(x, train=train)
            features.append(x)
        encoded = x
        for i, source in enumerate((4, 0)):
            x = DecoderBlock(config.compressed[i], config.shortcut[i], name=f'dec_block{i}')(
                x, features[source], train=train
            )
        for i, (block, rates) in enumerate(
            zip(config.refinement, REFINEMENT_RATES, strict=True), start=2
        ):
            x = EncoderBlock(block, rates, stride=1, dropout=config.dropout, name=f'dec_block{i}')(
                x, train=train
            )
        x = ConvBN(config.final, EPSILON, MOMENTUM, name='dec_block4')(x, train=train)
        # The original enlarges these features and projects them afterwards. Both are linear, so the
        # order is free, and this way it is two channels that are enlarged, or one.
        logits = at_least_float32(Conv(2, use_bias=True, name='final_block')(x))
        alpha = sigmoid(_enlarge(logits[..., 1:] - logits[..., :1]))  # a two-class softmax
        outputs = {'alpha': alpha, 'logits': _enlarge(logits)}
        if auxiliary:
            aux_logits = Conv(2, use_bias=True, name='aux_block')(encoded)
            outputs['aux_logits'] = at_least_float32(aux_logits)
        return outputs
