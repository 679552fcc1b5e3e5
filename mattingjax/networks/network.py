"""What is true of one network, in one record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from mattingjax.config.schema import Schema
from mattingjax.networks.channel_groups import GroupBuilder

Loss = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]


@dataclasses.dataclass(frozen=True)
class Preprocessing(Schema):
    """How a photo becomes the network's input.

    Attributes:
      mean: Subtracted from each RGB value in [0, 255].
      std: What the difference is divided by.
      resize: 'short_side' keeps the aspect ratio and brings the short side to the input size;
        'exact' brings both sides to it.
      multiple_of: The network's stride: both sides are multiples of this many pixels.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str
    multiple_of: int

    def validate(self) -> None:
        self.require(all(abs(value) <= 1e6 for value in self.mean), 'mean', 'at most 1e6')
        self.require(all(1e-3 <= value <= 1e6 for value in self.std), 'std', '1e-3 to 1e6')
        self.require(self.resize in ('short_side', 'exact'), 'resize', "'short_side' or 'exact'")
        self.require(self.multiple_of >= 1, 'multiple_of', 'at least 1 pixel')


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """Everything that the rest of the library needs to know of a network.

    Attributes:
      name: What settings and checkpoints call it.
      architecture: The class of its widths; without arguments it gives the published ones.
      module: The Flax module, made of an architecture. It takes normalised images [N, H, W, 3] and
        the keyword arguments `train` and `auxiliary`, and returns a dictionary with `alpha`.
      input_size: Pixels of the short side or of both sides (see `Preprocessing.resize`).
      preprocessing: How a photo becomes the network's input.
      epsilon: What its batch normalisations add to the variance.
      last_layer: Path of the layer whose output a sigmoid, or a softmax, makes the alpha of.
      walk: Tells a `GroupBuilder` every layer of an architecture, in the module's order.
      loss: Takes the module's outputs, true alphas [B, H, W, 1], normalised images, a trimap
        [B, H, W, 1] as `trimap` where `needs_trimap` says so, and `loss_options` by name. It
        returns the loss and its terms before they are weighted.
      needs_trimap: Whether the loss uses a trimap.
      loss_options: Names of the switches in `config.loss` that this loss knows.
      self_supervised_loss: Of outputs and those of a copy from before the adaptation, for photos
        without alphas; None if the network has none.
      scaling_layer: Path of the only convolution that reads the photo, which can take in the
        division by `preprocessing.std`; '' if there is a mean to subtract or another reader.
      scale: Width multiplier → architecture; None if all groups are narrowed alike.
      transform: How its original varies photos in training; see `data.transforms`.
      l2: Weight decay of its original; see `training.objective`.
    """

    name: str
    architecture: type[Schema]
    module: Callable[[Any], nn.Module]
    input_size: int
    preprocessing: Preprocessing
    epsilon: float
    last_layer: str
    walk: Callable[[GroupBuilder, Any], None]
    loss: Loss
    needs_trimap: bool = False
    loss_options: tuple[str, ...] = ()
    self_supervised_loss: Loss | None = None
    scaling_layer: str = ''
    scale: Callable[[float], Schema] | None = None
    transform: str = 'evaluation'
    l2: float = 0.0

    @property
    def has_dropout(self) -> bool:
        """Whether the architecture has a field `dropout`."""
        return any(field.name == 'dropout' for field in dataclasses.fields(self.architecture))
