"""The record of a network, which gathers all that the rest of the library needs to know of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from mattingjax.config.schema import Schema
from mattingjax.images.preprocessing import Preprocessing
from mattingjax.networks.channel_groups import GroupBuilder

Loss = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """Everything that the rest of the library needs to know of a network.

    Attributes:
      name: The name of the network in settings and checkpoints.
      architecture: The class that holds the widths; without arguments it has the published ones.
      module: A function from an architecture to the Flax module. The module takes normalised images
        [N, H, W, 3] and the keyword arguments `train` and `auxiliary`, and returns a dictionary
        with `alpha` [N, H, W, 1].
      input_size: The published short side, or both sides, of the input in pixels;
        `Preprocessing.resize` says which.
      preprocessing: How a photo becomes the network's input.
      epsilon: The number that batch normalisation adds to the variance.
      last_layer: The path of the layer whose output becomes the alpha by a sigmoid or a softmax.
      walk: A function that adds every layer of an architecture to a `GroupBuilder`, in the order in
        which the module calls them.
      loss: A function of the module's outputs, the true alphas [B, H, W, 1] in [0, 1], the
        normalised images [B, H, W, 3], a trimap [B, H, W, 1] as `trimap` if `needs_trimap` is set,
        and the `loss_options` by name. It returns the loss and its terms before they are weighted.
      needs_trimap: Whether the loss takes a trimap.
      loss_options: The names of the switches in `config.loss` that the loss takes.
      self_supervised_loss: A function of the module's outputs and of those of a copy from before
        the adaptation, for photos without alphas; None if the network has no such loss.
      scaling_layer: The path of the only convolution that reads the photo, into which the division
        by `preprocessing.std` can be folded; '' if a mean is subtracted or others read the photo.
      scale: A function from a width multiplier to an architecture; None if a multiplier below 1
        narrows all channel groups alike.
      transform: The name of the transform in `data.transforms` with which the original varies
        photos in training.
      l2: The factor of the original's weight decay; see `training.objective.l2_regularization`.
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
