"""Random trimaps on the device, the very ones of `data.trimaps`."""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.data.on_device.draws import Draws
from mattingjax.data.trimaps import HIGHEST, ITERATIONS, KERNEL_SIZES, LOWEST

_LARGEST = KERNEL_SIZES[1]
_ANCHOR = _LARGEST // 2


def random_trimap(alpha: jax.Array, draws: Draws) -> jax.Array:
    """Makes a trimap as `data.trimaps.random_trimap` does: float32 [S, S] of 0, 0.5 and 1.

    Args:
      alpha: float32 [S, S] in [0, 1].
      draws: Draws the size of the kernel and the number of iterations.
    """
    return make_trimap(alpha, draws.integer(*KERNEL_SIZES), draws.integer(*ITERATIONS))


def make_trimap(alpha: jax.Array, kernel_size: jax.Array, iterations: jax.Array) -> jax.Array:
    """Makes a trimap as `data.trimaps.make_trimap` does.

    Args:
      alpha: float32 [S, S] in [0, 1].
      kernel_size: An int32 scalar, within `KERNEL_SIZES`.
      iterations: An int32 scalar, within `ITERATIONS`.

    Returns:
      float32 [S, S] of 0, 0.5 and 1.
    """
    kernel = jnp.asarray(_kernels())[kernel_size - KERNEL_SIZES[0]]

    def dilate(i: jax.Array, masks: jax.Array) -> jax.Array:
        """Adds to what is in each mask, [S, S, 2], what is next to it."""
        padded = jnp.pad(masks, ((_ANCHOR, _LARGEST - 1 - _ANCHOR),) * 2 + ((0, 0),))
        grown = masks
        for (row, column), _ in np.ndenumerate(_kernels()[0]):
            shifted = padded[row : row + masks.shape[0], column : column + masks.shape[1]]
            grown = grown | (shifted & kernel[row, column])
        return jnp.where(i < iterations, grown, masks)

    # What is not opaque grows as the opaque shrinks.
    masks = jnp.stack([alpha <= HIGHEST, alpha >= LOWEST], -1)
    masks = jax.lax.fori_loop(0, ITERATIONS[1], dilate, masks)
    return (~masks[..., 0] + masks[..., 1].astype(jnp.float32)) / 2


def _kernels() -> np.ndarray:
    """The kernels by size, each with its anchor at `_ANCHOR`: bool [sizes, n, n]."""
    kernels = np.zeros((_LARGEST - KERNEL_SIZES[0] + 1, _LARGEST, _LARGEST), bool)
    for size, kernel in enumerate(kernels, KERNEL_SIZES[0]):
        first = _ANCHOR - size // 2
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        kernel[first : first + size, first : first + size] = ellipse
    return kernels
