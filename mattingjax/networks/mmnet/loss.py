"""MMNet's losses.

References:
  Seo et al., Towards Real-Time Automatic Portrait Matting on Mobile Devices
  (https://arxiv.org/abs/1904.03816).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.networks.pixelwise import (
    alpha_loss,
    check_shape,
    composition_loss,
    gradient_loss,
    weighted_sum,
)

MMNET_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {'alpha': 1.0, 'composition': 1.0, 'gradient': 1.0, 'kd': 1.0, 'aux': 1.0}
)


def kd_loss(logits: jax.Array, true_alpha: jax.Array) -> jax.Array:
    """Cross-entropy of the two-class softmax, the alpha being the share of the person.

    It is least, but not 0, where the softmax is the alpha.

    Args:
      logits: [B, H, W, 2], background first.
      true_alpha: [B, H, W, 1] in [0, 1], annotated or a teacher's.

    Returns:
      The mean over the pixels, in nats.

    Raises:
      MattingError: The shapes do not fit.

    References:
      Hinton et al., Distilling the Knowledge in a Neural Network
      (https://arxiv.org/abs/1503.02531), at temperature 1.
    """
    check_shape('logits', logits, (*true_alpha.shape[:-1], 2))
    alpha = true_alpha.astype(jnp.float32)
    labels = jnp.concatenate([1 - alpha, alpha], axis=-1)
    scores = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -jnp.mean(jnp.sum(labels * scores, axis=-1))


def aux_loss(aux_logits: jax.Array, true_alpha: jax.Array) -> jax.Array:
    """`kd_loss` of the auxiliary head, the alpha shrunk to its size by nearest neighbour.

    The pixels are TensorFlow 1's: destination × factor, rounded down.

    Args:
      aux_logits: [B, h, w, 2], background first.
      true_alpha: [B, H, W, 1] in [0, 1].

    Returns:
      The mean over the head's pixels, in nats.

    Raises:
      MattingError: The shapes do not fit.
    """
    rows, columns = (
        np.arange(aux_logits.shape[axis]) * true_alpha.shape[axis] // aux_logits.shape[axis]
        for axis in (1, 2)
    )
    return kd_loss(aux_logits, true_alpha[:, rows][:, :, columns])


def mmnet_loss(
    outputs: Mapping[str, jax.Array],
    true_alpha: jax.Array,
    image: jax.Array,
    *,
    weights: Mapping[str, float] = MMNET_WEIGHTS,
    divide_twice: bool = False,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """A fifth of the weighted sum of MMNet's five losses.

    Args:
      outputs: The network's `alpha`, `logits` and `aux_logits`.
      true_alpha: [B, H, W, 1] in [0, 1].
      image: [B, H, W, 3] in [0, 1].
      weights: A factor for each term, all 1 in the original.
      divide_twice: Whether the composition loss is 1/255 of the paper's: the original program
        divides the image by 255 although it is in [0, 1] already.

    Returns:
      The loss, and its terms before they are weighted: `alpha`, `composition`, `gradient`, `kd`
      and `aux`.

    Raises:
      MattingError: Shapes do not fit, the image is one of integers, or `weights` has other names.
    """
    composition = composition_loss(outputs['alpha'], true_alpha, image)
    terms = {
        'alpha': alpha_loss(outputs['alpha'], true_alpha),
        'composition': composition / 255 if divide_twice else composition,
        'gradient': gradient_loss(outputs['alpha'], true_alpha),
        'kd': kd_loss(outputs['logits'], true_alpha),
        'aux': aux_loss(outputs['aux_logits'], true_alpha),
    }
    return weighted_sum(terms, weights, MMNET_WEIGHTS) / len(terms), terms
