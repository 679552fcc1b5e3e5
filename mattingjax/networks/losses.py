"""The losses that networks share, and the functions of which other losses are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.errors import MattingError

_PYRAMID_LEVELS = 5


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


def laplacian_loss(pred_alpha: jax.Array, true_alpha: jax.Array) -> jax.Array:
    """Computes Σ 2^i · mean |L_i|, where L_i are the levels of the error's Laplacian pyramid.

    The levels are those of Burt and Adelson with the filter (1 4 6 4 1) / 16 along both axes and
    reflected borders, i from 0 to 4, without the low-pass rest: fine levels see hair, coarse ones
    whole regions. There are fewer where less than three pixels a side would be left.

    Args:
      pred_alpha: [B, H, W, 1] in [0, 1].
      true_alpha: [B, H, W, 1] in [0, 1].

    Returns:
      The sum over the levels of the weighted means over their pixels, in [0, 62].

    Raises:
      MattingError: The shapes differ.

    References:
      Burt and Adelson, The Laplacian Pyramid as a Compact Image Code, 1983; as a loss of mattes in
      Hou and Liu, Context-Aware Image Matting (https://arxiv.org/abs/1909.09725), and Lin et al.,
      Robust High-Resolution Video Matting (https://arxiv.org/abs/2108.11515).
    """
    # The pyramid is linear: that of the difference is the difference of the two.
    level = difference(pred_alpha, true_alpha)[..., 0]
    total = jnp.zeros((), jnp.float32)
    for i in range(_PYRAMID_LEVELS):
        if min(level.shape[1:]) < 5:
            break
        coarse = _halve(_halve(level, 1), 2)
        smooth = _double(_double(coarse, 1, level.shape[1]), 2, level.shape[2])
        total += 2**i * jnp.mean(jnp.abs(level - smooth))
        level = coarse
    return total


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


def _halve(x: jax.Array, axis: int) -> jax.Array:
    """Filters with (1 4 6 4 1) / 16 along one axis of [B, H, W] and takes every second pixel."""
    x = jnp.pad(x, _along(axis, 2, 2), mode='reflect')
    end = x.shape[axis] - 4
    parts = (jax.lax.slice_in_dim(x, i, i + end, 2, axis) for i in range(5))
    return sum(
        (tap / 16 * part for tap, part in zip((1, 4, 6, 4, 1), parts, strict=True)),
        jnp.zeros((), jnp.float32),
    )


def _double(x: jax.Array, axis: int, size: int) -> jax.Array:
    """Puts zeros between the pixels of [B, H, W] along one axis and filters them, (1 4 6 4 1) / 8.

    A pixel of an even place sees three of the small picture, one of an odd place two.
    """
    # Reflected about the last of `size` places: if that is odd, the last pixel comes once more.
    x = jnp.pad(x, _along(axis, 1, 0), mode='reflect')
    x = jnp.pad(x, _along(axis, 0, 1), mode='reflect' if size % 2 else 'edge')
    even, odd = filter_axis(x, (1 / 8, 6 / 8, 1 / 8), axis), filter_axis(x, (0, 0.5, 0.5), axis)
    both = jnp.stack([even, odd], axis + 1)
    both = both.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return jax.lax.slice_in_dim(both, 0, size, axis=axis)


def _along(axis: int, before: int, after: int) -> list[tuple[int, int]]:
    return [(before, after) if i == axis else (0, 0) for i in range(3)]


def resize(x: jax.Array, size: tuple[int, ...], *, antialias: bool = True) -> jax.Array:
    """Resizes [B, H, W, C] in float32 to a height and a width; bilinear, half-pixel centres."""
    shape = (x.shape[0], *size, x.shape[-1])
    return jax.image.resize(x.astype(jnp.float32), shape, 'linear', antialias=antialias)


def weighted_sum(terms: Mapping[str, jax.Array], weights: Mapping[str, float]) -> jax.Array:
    """Computes Σ weight · term, each term with the weight of its name."""
    return sum((weights[name] * term for name, term in terms.items()), jnp.zeros((), jnp.float32))
