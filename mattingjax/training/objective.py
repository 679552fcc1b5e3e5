"""What is made small: labels, a teacher and self-consistency, each with its weight."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mattingjax.errors import MattingError
from mattingjax.networks import Network, find_network
from mattingjax.training.distillation import distillation_loss

Outputs = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss of an experiment; called with what the networks computed for a batch.

    Attributes:
      network: The network whose loss labels are compared with, by name.
      supervised: Weight of the network's own loss, against the labels.
      distillation: Weight of the distance to a teacher.
      soc: Weight of MODNet's sub-objectives consistency, for photos without labels.
      l2: Half the sum of squares of the convolutions' kernels is multiplied with this.
      features: Layers, by path, whose attention maps are compared with the teacher's.
      divide_twice: Of MMNet's own loss; see `mmnet_loss`.
    """

    network: str
    supervised: float = 1.0
    distillation: float = 0.0
    soc: float = 0.0
    l2: float = 0.0
    features: tuple[str, ...] = ()
    divide_twice: bool = False

    def __post_init__(self) -> None:
        names = ('supervised', 'distillation', 'soc')
        if not any(getattr(self, name) for name in names):
            raise MattingError(f'config.loss: expected one of {", ".join(names)} over 0, got none')
        if self.soc and self._record.self_supervised_loss is None:
            raise MattingError(f'config.loss.soc: {self.network} has no such loss')
        if self.divide_twice and 'divide_twice' not in self._record.loss_options:
            raise MattingError(f'config.loss.divide_twice: the loss of {self.network} has no such')

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
          params: Of the network that learns.
          outputs: What it computed.
          batch: `alpha` and `trimap`, [B, S, S, 1], where the loss needs them.
          image: [B, S, S, 3] as the network sees it.
          teacher_outputs: What the teacher, or the copy of SOC, computed.
          features: Layer → [B, h, w, c].
          teacher_features: The teacher's.

        Returns:
          The loss, and its terms before they are weighted.
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
        if self.l2:
            terms['l2'] = l2_regularization(params, scale=self.l2)
            total += terms['l2']
        return total, terms

    def _supervise(
        self, outputs: Outputs, batch: Mapping[str, jax.Array], image: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        options: dict[str, Any] = {name: getattr(self, name) for name in self._record.loss_options}
        if self._record.needs_trimap:
            options['trimap'] = batch.get('trimap')
        return self._record.loss(outputs, batch['alpha'], image, **options)


def dense_kernels(params: Any) -> Any:
    """Marks the kernels that weight decay is for; also a mask for Optax.

    Args:
      params: A network's parameters, nested dicts.

    Returns:
      The same tree of bools: True for kernels of convolutions that are not depthwise. A kernel
      over several pixels that reads a single channel is taken for depthwise.
    """

    def is_dense(path: tuple[Any, ...], leaf: Any) -> bool:
        if path[-1].key != 'kernel':
            return False
        height, width, channels, _ = leaf.shape
        return channels > 1 or height * width == 1

    return jax.tree_util.tree_map_with_path(is_dense, params)


def l2_regularization(params: Any, *, scale: float) -> jax.Array:
    """Half the sum of squares of the `dense_kernels`, times `scale`; to be added to the loss.

    This is weight decay as MMNet's original has it, of the kernels that are not depthwise.

    Args:
      params: A network's parameters.
      scale: The factor; 4e-7 in the original.

    Returns:
      A number, at least 0.
    """
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(dense_kernels(params)), strict=True)
    squares = (jnp.sum(jnp.square(kernel.astype(jnp.float32))) for kernel, dense in leaves if dense)
    return scale / 2 * sum(squares, jnp.zeros((), jnp.float32))
