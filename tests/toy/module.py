"""The toy network's module, which halves the resolution and doubles it again."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax

from mattingjax.config.schema import Schema
from mattingjax.networks.layers import Conv, ConvBN
from mattingjax.networks.operations import sigmoid, upsample_2x
from mattingjax.networks.precision import at_least_float32

EPSILON, MOMENTUM = 1e-4, 0.9


@dataclasses.dataclass(frozen=True)
class ToyConfig(Schema):
    """Every width of the toy network.

    Attributes:
      stem: The number of channels of the first convolution, which halves the resolution.
      body: The number of channels of the second convolution.
      dropout: The share of values that are dropped before the last convolution in training, in
        [0, 1).
    """

    stem: int = 8
    body: int = 24
    dropout: float = 0.0

    def validate(self) -> None:
        self.require_widths(1, 'stem', 'body')
        self.require(0 <= self.dropout < 1, 'dropout', '0 or more and below 1')


class Toy(nn.Module):
    """The network.

    Attributes:
      config: The widths of the network.
    """

    config: ToyConfig = ToyConfig()

    @nn.compact
    def __call__(
        self, image: jax.Array, *, train: bool = False, auxiliary: bool | None = None
    ) -> dict[str, jax.Array]:
        """Computes the alpha and, when asked, the coarse matte that the loss compares too.

        Args:
          image: RGB images, [N, H, W, 3] in [0, 1]; H and W are multiples of 2.
          train: Whether batch statistics are used and updated, and values dropped. Dropout needs a
            random key named `dropout`.
          auxiliary: Whether the coarse matte is computed; None computes it when `train` is set.

        Returns:
          `alpha` [N, H, W, 1] in [0, 1]; if `auxiliary`, `semantic` [N, H/2, W/2, 1] in [0, 1].
        """
        auxiliary = train if auxiliary is None else auxiliary
        config = self.config
        x = ConvBN(config.stem, EPSILON, MOMENTUM, kernel_size=3, stride=2, name='stem')(
            image, train=train
        )
        x = ConvBN(config.body, EPSILON, MOMENTUM, name='body')(x, train=train)
        x = nn.Dropout(config.dropout, deterministic=not train)(x)
        logit = at_least_float32(Conv(1, use_bias=True, name='head')(x))
        outputs = {'alpha': sigmoid(upsample_2x(logit, half_pixel=True))}
        if auxiliary:
            outputs['semantic'] = sigmoid(logit)
        return outputs
