"""Distillation: a teacher's outputs take the place of labels, and its attention maps guide layers.

The choice of the terms and their equal weights are this project's. They need photos, no labels.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from mattingjax.errors import MattingError
from mattingjax.networks.losses import (
    alpha_loss,
    aux_loss,
    difference,
    gradient_loss,
    kd_loss,
    resize,
)

_EPSILON = 1e-24  # keeps the squared norm of an attention map over 0 where all features are 0


def distillation_loss(
    outputs: Mapping[str, jax.Array],
    teacher_outputs: Mapping[str, jax.Array],
    features: Mapping[str, jax.Array] | None = None,
    teacher_features: Mapping[str, jax.Array] | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Sums up how far a student's outputs are from its teacher's, over the outputs that both have.

    The terms `alpha` and `gradient` are `alpha_loss` and `gradient_loss` of the alphas. A student
    with `logits` and `aux_logits` has the terms `kd` and `aux`: `kd_loss` and `aux_loss` with the
    teacher's alpha as the label. If both networks compute `semantic` and `detail`, those terms are
    mean absolute differences. If features are given, the term `attention` is the mean over the
    layers of `attention_transfer_loss`.

    Outputs of the teacher that have another size are resized bilinearly to the student's.

    Args:
      outputs: The student's outputs by name; `alpha` is one of them.
      teacher_outputs: The teacher's outputs by name; `alpha` is one of them.
      features: The student's features [B, h, w, c] by layer.
      teacher_features: The teacher's features [B, h', w', c'] of the same layers.

    Returns:
      The loss and its terms by name. No gradient flows into the teacher.

    Raises:
      MattingError: The batches differ in size, or the features are of different layers.

    References:
      Hinton et al., Distilling the Knowledge in a Neural Network
      (https://arxiv.org/abs/1503.02531).
    """
    teacher = {
        name: resize(jax.lax.stop_gradient(teacher_outputs[name]), outputs[name].shape[1:3])
        for name in ('alpha', 'semantic', 'detail')
        if name in outputs and name in teacher_outputs
    }
    terms = {name: alpha_loss(outputs[name], alpha) for name, alpha in teacher.items()}
    terms['gradient'] = gradient_loss(outputs['alpha'], teacher['alpha'])
    if 'logits' in outputs:
        terms['kd'] = kd_loss(outputs['logits'], teacher['alpha'])
    if 'aux_logits' in outputs:
        terms['aux'] = aux_loss(outputs['aux_logits'], teacher['alpha'])
    if features or teacher_features:
        terms['attention'] = _mean_attention_transfer(features or {}, teacher_features or {})
    return sum(terms.values(), jnp.zeros((), jnp.float32)), terms


def attention_transfer_loss(features: jax.Array, teacher_features: jax.Array) -> jax.Array:
    """Computes the squared distance of the attention maps, which need no equal numbers of channels.

    An attention map is the mean over the channels of the squared features, divided by its L2 norm
    over the pixels. The larger map is first shrunk to the size of the smaller, bilinearly.

    Args:
      features: The student's features, [B, h, w, c].
      teacher_features: The teacher's features, [B, h', w', c']; no gradient flows into them.

    Returns:
      The sum over the pixels, averaged over the images, in [0, 2].

    Raises:
      MattingError: The batches differ in size.

    References:
      Zagoruyko and Komodakis, Paying More Attention to Attention
      (https://arxiv.org/abs/1612.03928), section 3.1. Their code averages over the pixels.
    """
    both = features, jax.lax.stop_gradient(teacher_features)
    size = tuple(min(x.shape[axis] for x in both) for axis in (1, 2))
    attention, teacher_attention = (_attention_map(x, size) for x in both)
    error = difference(attention, teacher_attention, "teacher's attention")
    return jnp.mean(jnp.sum(jnp.square(error), axis=(1, 2, 3)))


def _mean_attention_transfer(
    features: Mapping[str, jax.Array], teacher_features: Mapping[str, jax.Array]
) -> jax.Array:
    if set(features) != set(teacher_features):
        expected, found = (
            ', '.join(sorted(layers)) or 'none' for layers in (features, teacher_features)
        )
        raise MattingError(f"teacher_features: expected the student's {expected}, got {found}")
    losses = [attention_transfer_loss(features[name], teacher_features[name]) for name in features]
    return jnp.mean(jnp.stack(losses))


def _attention_map(features: jax.Array, size: tuple[int, ...]) -> jax.Array:
    energy = jnp.mean(jnp.square(features.astype(jnp.float32)), axis=-1, keepdims=True)
    energy = resize(energy, size)
    square_norm = jnp.sum(jnp.square(energy), axis=(1, 2, 3), keepdims=True)
    return energy * jax.lax.rsqrt(square_norm + _EPSILON)
