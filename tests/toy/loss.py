"""The toy network's losses."""

from __future__ import annotations

from collections.abc import Mapping

import jax

from mattingjax.networks.losses import alpha_loss, gradient_loss, resize


def toy_loss(
    outputs: Mapping[str, jax.Array], true_alpha: jax.Array, image: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Computes the sum of three losses.

    Args:
      outputs: The network's `alpha` and `semantic`.
      true_alpha: The true alphas, [B, H, W, 1] in [0, 1].
      image: The normalised images, [B, H, W, 3] in [0, 1]; they are not used.

    Returns:
      The loss, and its terms `alpha`, `gradient` and `semantic`.

    Raises:
      MattingError: Shapes do not fit.
    """
    semantic = outputs['semantic']
    terms = {
        'alpha': alpha_loss(outputs['alpha'], true_alpha),
        'gradient': gradient_loss(outputs['alpha'], true_alpha),
        'semantic': alpha_loss(semantic, resize(true_alpha, semantic.shape[1:3])),
    }
    return terms['alpha'] + terms['gradient'] + terms['semantic'], terms


def consistency_loss(
    outputs: Mapping[str, jax.Array], reference_outputs: Mapping[str, jax.Array]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Compares the coarse matte with the shrunk alpha, and the alpha with the one of a copy.

    Args:
      outputs: The `alpha` and `semantic` of the network that adapts.
      reference_outputs: The `alpha` of its copy from before the adaptation.

    Returns:
      The loss, and its terms `semantic` and `alpha`.

    Raises:
      MattingError: Shapes do not fit.
    """
    semantic = outputs['semantic']
    terms = {
        'semantic': alpha_loss(semantic, resize(outputs['alpha'], semantic.shape[1:3])),
        'alpha': alpha_loss(outputs['alpha'], reference_outputs['alpha']),
    }
    return terms['semantic'] + terms['alpha'], terms
