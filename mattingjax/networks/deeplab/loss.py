"""Mobile DeepLabv3's loss, with which MMNet's authors trained it.

References:
  Seo et al., Towards Real-Time Automatic Portrait Matting on Mobile Devices
  (https://arxiv.org/abs/1904.03816), and the settings in their published code.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from mattingjax.networks.losses import alpha_loss, composition_loss, gradient_loss, kd_loss


def deeplab_loss(
    outputs: Mapping[str, jax.Array], true_alpha: jax.Array, image: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Computes the mean of MMNet's losses without the one of the auxiliary head.

    The composition loss sees the images in [0, 1], as MMNet's does.

    Args:
      outputs: The network's `alpha` and `logits`.
      true_alpha: The true alphas, [B, H, W, 1] in [0, 1].
      image: The normalised images, [B, H, W, 3] in [-1, 1].

    Returns:
      The loss, and its terms `alpha`, `composition`, `gradient` and `kd`.

    Raises:
      MattingError: Shapes do not fit.
    """
    terms = {
        'alpha': alpha_loss(outputs['alpha'], true_alpha),
        'composition': composition_loss(outputs['alpha'], true_alpha, image / 2 + 0.5),
        'gradient': gradient_loss(outputs['alpha'], true_alpha),
        'kd': kd_loss(outputs['logits'], true_alpha),
    }
    return jnp.mean(jnp.stack(list(terms.values()))), terms
