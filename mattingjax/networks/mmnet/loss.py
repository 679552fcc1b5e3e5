"""MMNet's loss.

References:
  Seo et al., Towards Real-Time Automatic Portrait Matting on Mobile Devices
  (https://arxiv.org/abs/1904.03816).
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from mattingjax.networks.losses import (
    alpha_loss,
    aux_loss,
    composition_loss,
    gradient_loss,
    kd_loss,
)


def mmnet_loss(
    outputs: Mapping[str, jax.Array],
    true_alpha: jax.Array,
    image: jax.Array,
    *,
    divide_twice: bool = False,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Computes the mean of MMNet's five losses.

    Args:
      outputs: The network's `alpha`, `logits` and `aux_logits`.
      true_alpha: The true alphas, [B, H, W, 1] in [0, 1].
      image: The normalised images, [B, H, W, 3] in [0, 1].
      divide_twice: Whether the composition loss is 1/255 of the paper's: the original program
        divides the image by 255 although it is in [0, 1] already.

    Returns:
      The loss, and its terms `alpha`, `composition`, `gradient`, `kd` and `aux`.

    Raises:
      MattingError: Shapes do not fit, or the images have integer values.
    """
    composition = composition_loss(outputs['alpha'], true_alpha, image)
    terms = {
        'alpha': alpha_loss(outputs['alpha'], true_alpha),
        'composition': composition / 255 if divide_twice else composition,
        'gradient': gradient_loss(outputs['alpha'], true_alpha),
        'kd': kd_loss(outputs['logits'], true_alpha),
        'aux': aux_loss(outputs['aux_logits'], true_alpha),
    }
    return sum(terms.values(), jnp.zeros((), jnp.float32)) / len(terms), terms
