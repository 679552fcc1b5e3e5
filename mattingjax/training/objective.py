"""The objective: the weighted sum of the losses of labels, a teacher and self-consistency."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mattingjax.errors import MattingError
from mattingjax.networks import Network, find_network, network_names
from mattingjax.networks.losses import laplacian_loss
from mattingjax.training.distillation import distillation_loss

Outputs = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss that an experiment minimises.

    Attributes:
      network: The name of the network that learns; its record has its own loss.
      supervised: The weight of the network's own loss, which compares outputs with labels, at
        least 0.
      distillation: The weight of the distance to a teacher, at least 0.
      soc: The weight of the self-supervised loss, MODNet's sub-objectives consistency, for photos
        without labels, at least 0.
      laplacian: The weight of `laplacian_loss` of the alpha, which compares it with labels, at
        least 0.
      l2: The factor of the weight decay, as `l2_regularization` takes it, at least 0.
      features: Paths of the layers whose attention maps are compared with the teacher's.
      switches: The names of the switches of the network's own loss that are on, such as
        'divide_twice' of `mmnet_loss`.
    """

    network: str
    supervised: float = 1.0
    distillation: float = 0.0
    soc: float = 0.0
    laplacian: float = 0.0
    l2: float = 0.0
    features: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = ('supervised', 'distillation', 'soc', 'laplacian')
        if not any(getattr(self, name) for name in names):
            raise MattingError(f'config.loss: expected one of {", ".join(names)} over 0, got none')
        if self.soc and self._record.self_supervised_loss is None:
            others = [name for name in network_names() if find_network(name).self_supervised_loss]
            raise MattingError(
                f'config.loss.soc: {self.network} has no such loss, only {", ".join(others)}'
            )
        for name in self.switches:
            if name not in self._record.loss_options:
                raise MattingError(
                    f'config.loss.{name}: the loss of {self.network} has no such option'
                )

    @property
    def _record(self) -> Network:
        return find_network(self.network)

    def __call__(
        self,
        params: Any,
        outputs: Outputs,
        batch: Mapping[str, jax.Array],
        image: jax.Array,
        teacher_outputs: Outputs | None,
        features: Outputs,
        teacher_features: Outputs,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Computes the loss.

        Args:
          params: The trained parameters of the network that learns.
          outputs: What that network computed for the batch.
          batch: `alpha` and `trimap`, float32 [B, S, S, 1] in [0, 1], where the loss needs them.
          image: The normalised images, [B, S, S, 3].
          teacher_outputs: What the teacher computed, or for SOC the copy from before the
            adaptation; None without either.
          features: The features [B, h, w, c] of the network that learns, by layer.
          teacher_features: The teacher's features [B, h', w', c'] of the same layers.

        Returns:
          The loss, and its terms by name, before they are weighted.
        """
        total = jnp.zeros(())
        terms: dict[str, jax.Array] = {}
        if self.supervised:
            loss, parts = self._supervise(outputs, batch, image)
            total += self.supervised * loss
            terms |= parts
        if self.distillation:
            assert teacher_outputs is not None
            loss, parts = distillation_loss(outputs, teacher_outputs, features, teacher_features)
            total += self.distillation * loss
            terms |= {f'teacher_{name}': value for name, value in parts.items()}
        if self.soc:
            assert teacher_outputs is not None
            assert self._record.self_supervised_loss is not None
            loss, parts = self._record.self_supervised_loss(outputs, teacher_outputs)
            total += self.soc * loss
            terms |= {f'soc_{name}': value for name, value in parts.items()}
        if self.laplacian:
            terms['laplacian'] = laplacian_loss(outputs['alpha'], batch['alpha'])
            total += self.laplacian * terms['laplacian']
        if self.l2:
            terms['l2'] = l2_regularization(params, scale=self.l2)
            total += terms['l2']
        return total, terms

    def _supervise(
        self, outputs: Outputs, batch: Mapping[str, jax.Array], image: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        options: dict[str, Any] = {
            name: name in self.switches for name in self._record.loss_options
        }
        if self._record.needs_trimap:
            options['trimap'] = batch.get('trimap')
        return self._record.loss(outputs, batch['alpha'], image, **options)


def dense_kernels(params: Any) -> Any:
    """Marks the kernels to which weight decay applies.

    Args:
      params: A network's parameters as nested dictionaries.

    Returns:
      A tree of the same structure, True for kernels of convolutions that are not depthwise. A
      kernel over several pixels that reads a single channel is taken for depthwise.
    """

    def is_dense(path: tuple[Any, ...], leaf: Any) -> bool:
        if path[-1].key != 'kernel':
            return False
        height, width, channels, _ = leaf.shape
        return channels > 1 or height * width == 1

    return jax.tree_util.tree_map_with_path(is_dense, params)


def l2_regularization(params: Any, *, scale: float) -> jax.Array:
    """Computes `scale` times half the sum of squares of the `dense_kernels`, to add to the loss.

    This is weight decay as MMNet's original has it: of the kernels that are not depthwise.

    Args:
      params: A network's parameters as nested dictionaries.
      scale: The factor, at least 0; 4e-7 in the original.

    Returns:
      A float32 scalar, at least 0.
    """
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(dense_kernels(params)), strict=True)
    squares = (jnp.sum(jnp.square(kernel.astype(jnp.float32))) for kernel, dense in leaves if dense)
    return scale / 2 * sum(squares, jnp.zeros((), jnp.float32))
