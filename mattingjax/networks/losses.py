"""The losses that networks share, and the functions of which other losses are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.errors import MattingError


def alpha_loss(pred_alpha: jax.Array, true_alpha: jax.Array) -> jax.Array:
    """Computes the mean absolute difference.

    Args:
      pred_alpha: [B, H, W, 1] in [0, 1].
      true_alpha: [B, H, W, 1] in [0, 1].

    Returns:
      The mean over the pixels, in [0, 1].

    Raises:
      MattingError: The shapes differ.
    """
    return jnp.mean(jnp.abs(difference(pred_alpha, true_alpha)))


def composition_loss(pred_alpha: jax.Array, true_alpha: jax.Array, image: jax.Array) -> jax.Array:
    """Computes the mean absolute difference of the image times one alpha and times the other.

    Args:
      pred_alpha: [B, H, W, 1] in [0, 1].
      true_alpha: [B, H, W, 1] in [0, 1].
      image: [B, H, W, 3] as the network sees it: in [0, 1] for MMNet, in [-1, 1] for MODNet.

    Returns:
      The mean over pixels and colours, in [0, 1].

    Raises:
      MattingError: The shapes do not fit, or the image has integer values.
    """
    error = difference(pred_alpha, true_alpha)
    check_shape('image', image, (*error.shape[:-1], 3))
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise MattingError(f'image: expected floats as the network sees them, got {image.dtype}')
    return jnp.mean(jnp.abs(image.astype(jnp.float32) * error))


def gradient_loss(pred_alpha: jax.Array, true_alpha: jax.Array) -> jax.Array:
    """Computes the mean absolute difference of the gradients.

    The gradients are Sobel filters divided by 8, with zeros around the alphas.

    Args:
      pred_alpha: [B, H, W, 1] in [0, 1].
      true_alpha: [B, H, W, 1] in [0, 1].

    Returns:
      The mean over the pixels and both directions, in 1/pixel, in [0, 1].

    Raises:
      MattingError: The shapes differ.
    """
    # The filters are linear, so the gradient of the difference is the difference of the gradients.
    error = difference(pred_alpha, true_alpha)
    padded = jnp.pad(error, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = jnp.zeros((), jnp.float32)
    for along, across in ((1, 2), (2, 1)):
        derivative = filter_axis(padded, (-0.5, 0, 0.5), along)
        total += jnp.mean(jnp.abs(filter_axis(derivative, (0.25, 0.5, 0.25), across)))
    return total / 2


def kd_loss(logits: jax.Array, true_alpha: jax.Array) -> jax.Array:
    """Computes the cross-entropy of a two-class softmax; alpha is the probability of the person.

    It is least, but not 0, where the softmax equals the alpha.

    Args:
      logits: [B, H, W, 2], background first.
      true_alpha: [B, H, W, 1] in [0, 1], annotated or predicted by a teacher.

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
    """Computes the `kd_loss` of an auxiliary head; the alpha is shrunk by nearest neighbour.

    It takes the same pixels as TensorFlow 1: destination × factor, rounded down.

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


def check_shape(name: str, array: jax.Array, shape: tuple[int, ...]) -> None:
    """Raises MattingError for another shape, since broadcasting would hide a mix-up."""
    if array.shape != shape:
        raise MattingError(f'{name}: expected shape {list(shape)}, got {list(array.shape)}')


def difference(pred: jax.Array, true: jax.Array, name: str = 'true_alpha') -> jax.Array:
    """Subtracts `true` from `pred` in float32; an error about shapes calls `true` by `name`."""
    check_shape(name, true, pred.shape)
    return pred.astype(jnp.float32) - true.astype(jnp.float32)


def filter_axis(x: jax.Array, taps: Sequence[float], axis: int) -> jax.Array:
    """Correlates with `taps` along one axis, which gets shorter by len(taps) − 1."""
    size = x.shape[axis] - len(taps) + 1
    shifted = (jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(len(taps)))
    return sum(
        (tap * part for tap, part in zip(taps, shifted, strict=True)), jnp.zeros((), jnp.float32)
    )


def resize(x: jax.Array, size: tuple[int, ...], *, antialias: bool = True) -> jax.Array:
    """Resizes [B, H, W, C] in float32 to a height and a width; bilinear, half-pixel centres."""
    shape = (x.shape[0], *size, x.shape[-1])
    return jax.image.resize(x.astype(jnp.float32), shape, 'linear', antialias=antialias)


def weighted_sum(terms: Mapping[str, jax.Array], weights: Mapping[str, float]) -> jax.Array:
    """Computes Σ weight · term, each term with the weight of its name."""
    return sum((weights[name] * term for name, term in terms.items()), jnp.zeros((), jnp.float32))
