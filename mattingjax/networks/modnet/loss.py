"""MODNet's loss with labels, and its self-supervised loss.

References:
  Ke et al., MODNet (https://arxiv.org/abs/2011.11961); factors as in its published code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import flax.linen as nn
import jax
import jax.numpy as jnp

from mattingjax.networks.losses import (
    alpha_loss,
    check_shape,
    composition_loss,
    difference,
    filter_axis,
    resize,
    weighted_sum,
)

MODNET_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {'semantic': 10.0, 'detail': 10.0, 'matte': 1.0}
)
SOC_WEIGHTS: Mapping[str, float] = MappingProxyType({'semantic': 100.0, 'detail': 1.0})

_BLUR_SIGMA = 0.8  # in pixels of the semantic matte
_BOUNDARY_FACTOR = 4.0  # the weight of the parts of the matte loss that see only unknown pixels
# For the self-supervised loss: the alpha over which there is a person, the largest target that
# counts as 0, and the number by which (height + width) is divided for the width of the boundary.
_PERSON = 0.1
_NEGLIGIBLE = 0.01
_BOUNDARY_SHARE = 40


def semantic_loss(pred_semantic: jax.Array, true_alpha: jax.Array) -> jax.Array:
    """Computes the mean squared error of the semantic matte to the shrunk and blurred alpha.

    Args:
      pred_semantic: [B, H/16, W/16, 1] in [0, 1], at least 2×2.
      true_alpha: [B, H, W, 1] in [0, 1].

    Returns:
      The mean over the semantic matte's pixels, in [0, 1].

    Raises:
      MattingError: The batches differ in size.
    """
    return _mean_squared_error(pred_semantic, _coarse(true_alpha, pred_semantic.shape[1:3]))


def detail_loss(pred_detail: jax.Array, true_alpha: jax.Array, trimap: jax.Array) -> jax.Array:
    """Computes the mean absolute difference of the detail matte, 0 where the trimap is known.

    Args:
      pred_detail: [B, H, W, 1] in [0, 1].
      true_alpha: [B, H, W, 1] in [0, 1].
      trimap: [B, H, W, 1], unknown where it is exactly 0.5.

    Returns:
      The mean over all pixels, the known ones included, in [0, 1].

    Raises:
      MattingError: The shapes differ.
    """
    return alpha_loss(*(_fill_known(alpha, trimap) for alpha in (pred_detail, true_alpha)))


def matte_loss(
    pred_alpha: jax.Array,
    true_alpha: jax.Array,
    image: jax.Array,
    trimap: jax.Array | None = None,
) -> jax.Array:
    """Computes the alpha and composition losses of the matte, with extra weight on the boundary.

    With ᾱ the matte where the trimap is unknown and the trimap elsewhere, and c the image, it is
    |α - α*| + |c α - c α*| + 4 (|ᾱ - α*| + |c ᾱ - c α*|), where each |·| is a mean.

    Args:
      pred_alpha: [B, H, W, 1] in [0, 1], the matte.
      true_alpha: [B, H, W, 1] in [0, 1].
      image: [B, H, W, 3] in [-1, 1].
      trimap: [B, H, W, 1], unknown where it is exactly 0.5; None leaves out the second half.

    Returns:
      A number in [0, 10]; without a trimap in [0, 2].

    Raises:
      MattingError: Shapes do not fit, or the images have integer values.
    """

    def both(alpha: jax.Array) -> jax.Array:
        return alpha_loss(alpha, true_alpha) + composition_loss(alpha, true_alpha, image)

    if trimap is None:
        return both(pred_alpha)
    return both(pred_alpha) + _BOUNDARY_FACTOR * both(_fill_known(pred_alpha, trimap))


def modnet_loss(
    outputs: Mapping[str, jax.Array],
    true_alpha: jax.Array,
    image: jax.Array,
    trimap: jax.Array | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Computes the weighted sum of MODNet's three losses.

    Args:
      outputs: The network's `alpha` (the paper's matte), `semantic` and `detail`.
      true_alpha: [B, H, W, 1] in [0, 1].
      image: [B, H, W, 3] in [-1, 1].
      trimap: [B, H, W, 1], unknown where it is exactly 0.5. Without one there is no boundary: the
        detail loss and half of the matte loss are left out.

    Returns:
      The loss, and its terms before they are weighted: `semantic`, `matte` and, with a trimap,
      `detail`.

    Raises:
      MattingError: Shapes do not fit, or the images have integer values.
    """
    terms = {
        'semantic': semantic_loss(outputs['semantic'], true_alpha),
        'matte': matte_loss(outputs['alpha'], true_alpha, image, trimap),
    }
    if trimap is not None:
        terms['detail'] = detail_loss(outputs['detail'], true_alpha, trimap)
    return weighted_sum(terms, MODNET_WEIGHTS), terms


def soc_loss(
    outputs: Mapping[str, jax.Array],
    reference_outputs: Mapping[str, jax.Array],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Computes the sub-objectives consistency (SOC), which adapts MODNet to photos without alphas.

    The semantic matte and the shrunk and blurred matte are each other's target. On the boundary
    of the person, detail and matte stay near those of the network before the adaptation.

    Args:
      outputs: `alpha` (the matte), `semantic` and `detail` of the network that adapts.
      reference_outputs: `alpha` and `detail` of its copy before the adaptation.

    Returns:
      The loss, and its terms before they are weighted: `semantic` and `detail`. No gradient flows
      into targets, the boundary or the copy.

    Raises:
      MattingError: Shapes do not fit.
    """
    alpha, semantic = (outputs[name].astype(jnp.float32) for name in ('alpha', 'semantic'))
    coarse = _coarse(alpha, semantic.shape[1:3])
    boundary = jax.lax.stop_gradient(_person_boundary(alpha, semantic))
    area = jnp.maximum(jnp.sum(boundary, axis=(1, 2, 3)), 1)  # an image may have no boundary

    def boundary_distance(name: str) -> jax.Array:
        reference = jax.lax.stop_gradient(reference_outputs[name])
        error = difference(outputs[name], reference, f'reference {name}')
        return jnp.mean(jnp.sum(boundary * jnp.abs(error), axis=(1, 2, 3)) / area)

    terms = {
        'semantic': _mean_squared_error(semantic, _as_target(coarse))
        + _mean_squared_error(coarse, _as_target(semantic)),
        'detail': boundary_distance('detail') + boundary_distance('alpha'),
    }
    return weighted_sum(terms, SOC_WEIGHTS), terms


def _mean_squared_error(pred: jax.Array, true: jax.Array) -> jax.Array:
    return jnp.mean(jnp.square(difference(pred, true)))


def _fill_known(alpha: jax.Array, trimap: jax.Array) -> jax.Array:
    """Takes the alpha where the trimap is unknown, and the trimap elsewhere."""
    check_shape('trimap', trimap, alpha.shape)
    return jnp.where(trimap == 0.5, alpha.astype(jnp.float32), trimap.astype(jnp.float32))


def _coarse(alpha: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Shrinks the alpha to a semantic matte's size and blurs it, 3×3, the border reflected."""
    from scipy import ndimage  # imported here, since every use of a network imports this module

    alpha = resize(alpha, size, antialias=False)
    alpha = jnp.pad(alpha, ((0, 0), (1, 1), (1, 1), (0, 0)), mode='reflect')
    # The original filters an impulse in a 3×3 picture, whose border reflects the filter's tails.
    taps = ndimage.gaussian_filter1d([0.0, 1.0, 0.0], _BLUR_SIGMA).tolist()
    return filter_axis(filter_axis(alpha, taps, 1), taps, 2)


def _as_target(values: jax.Array) -> jax.Array:
    """Stops the gradient, and sets negligible values to 0."""
    return jax.lax.stop_gradient(jnp.where(values > _NEGLIGIBLE, values, 0))


def _person_boundary(alpha: jax.Array, semantic: jax.Array) -> jax.Array:
    """Marks with 1 where the dilated person differs from the eroded one; [B, H, W, 1].

    A person is where both mattes see one. The border of the semantic matte is soft once it is
    enlarged, and all of it counts as boundary.
    """
    person = (alpha > _PERSON) * resize(semantic > _PERSON, alpha.shape[1:3])
    side = max(1, (alpha.shape[1] + alpha.shape[2]) // _BOUNDARY_SHARE)
    # An even square reaches further down and right when it dilates, up and left when it erodes.
    before, after = (side - 1) // 2, side // 2
    dilated, eroded = _dilate(person, before, after), -_dilate(-person, after, before)
    return (dilated > eroded).astype(jnp.float32)


def _dilate(x: jax.Array, before: int, after: int) -> jax.Array:
    """Takes the largest value in a square of before + 1 + after pixels around each pixel."""
    side = before + 1 + after
    x = nn.max_pool(x, (side, 1), padding=((before, after), (0, 0)))
    return nn.max_pool(x, (1, side), padding=((0, 0), (before, after)))
