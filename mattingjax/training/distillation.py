"""Learning from a teacher: its outputs in the place of labels, and where its layers look.

The terms, and that all count alike, are this project's choice. They need photos, no labels.
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

_EPSILON = 1e-24  # keeps an attention map's squared norm from 0, where all features are


def distillation_loss(
    outputs: Mapping[str, jax.Array],
    teacher_outputs: Mapping[str, jax.Array],
    features: Mapping[str, jax.Array] | None = None,
    teacher_features: Mapping[str, jax.Array] | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """How far a student is from its teacher: the sum of the terms that both have.

    `alpha` and `gradient`: `alpha_loss` and `gradient_loss` of the alphas. `kd` and `aux`, if the
    student is an MMNet: `kd_loss` and `aux_loss` with the teacher's alpha as label. `semantic` and
    `detail`, if both are MODNets: mean absolute differences. `attention`, if features are given:
    the mean over the layers of `attention_transfer_loss`.

    What the teacher gives at another size is resized to the student's, bilinearly.

    Args:
      outputs: The student's `alpha`, and whatever else it computes.
      teacher_outputs: The teacher's `alpha`, and whatever else it computes.
      features: Layer → [B, h, w, c], the student's.
      teacher_features: The same layers → [B, h', w', c'], the teacher's.

    Returns:
      The loss, and its terms. No gradient flows into the teacher.

    Raises:
      MattingError: The batches differ, or the teacher has other layers.

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
    """Squared distance of the attention maps: the same for any number of channels.

    An attention map is the mean over the channels of the squared features, divided by its L2 norm
    over the pixels. The larger map is first shrunk to the size of the smaller, bilinearly.

    Args:
      features: [B, h, w, c] of the student.
      teacher_features: [B, h', w', c'] of the teacher; no gradient flows into them.

    Returns:
      The sum over the pixels, the mean over the images, in [0, 2].

    Raises:
      MattingError: The batches differ.

    References:
      Zagoruyko and Komodakis, Paying More Attention to Attention
      (https://arxiv.org/abs/1612.03928), activation-based; their code has the mean over the pixels.
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
