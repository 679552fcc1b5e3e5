"""Weights rounded to eight bits so that every kernel keeps its sum.

Rounding each tap to the nearest value leaves an error in the sum of a kernel, and that error is
multiplied by what is constant in the map: of the first depthwise layer of a MobileNet, whose
kernels tell edges and so almost cancel out, whole channels move. With some taps rounded the other
way the sum is off by half a step at most.

References:
  Guo et al., SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation,
    https://arxiv.org/abs/2202.07471, whose second step does this.
"""

from __future__ import annotations

import numpy as np

LARGEST = 127  # of eight bits, symmetric
# For convolutions of the photo: without VNNI a processor adds up two products in sixteen bits, and
# only bright photos are large enough to overflow these.
LARGEST_OF_PHOTO = 64


def round_keeping_sums(weights: np.ndarray, largest: int = LARGEST) -> np.ndarray:
    """Rounds weights up or down so that the sum of each kernel is rounded to the nearest value.

    Args:
      weights: float [..., height, width], in steps: divided by what one step is worth.
      largest: The largest value of the result.

    Returns:
      int8 of the same shape, in [-largest, largest].
    """
    exact = weights.reshape(-1, weights.shape[-2] * weights.shape[-1]).astype(np.float64)
    lower = np.floor(exact)
    missing = np.round(exact.sum(axis=1, keepdims=True)) - lower.sum(axis=1, keepdims=True)
    # The taps with the largest fractions are rounded up, as many as the sum needs.
    rank = np.argsort(np.argsort(lower - exact, axis=1, kind='stable'), axis=1)
    rounded = np.clip(lower + (rank < missing), -largest, largest)
    return rounded.reshape(weights.shape).astype(np.int8)


def round_weights(kernels: np.ndarray, largest: int = LARGEST) -> np.ndarray:
    """Rounds weights to steps, of which the largest weight of each output has `largest`.

    Quantisers that take the same steps find values that they need not round.

    Args:
      kernels: float32 [O, I, H, W], with one step for each of the first axis.
      largest: How many steps the largest weight has.

    Returns:
      float32 of the same shape, rounded as `round_keeping_sums` does.
    """
    highest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    step = np.where(highest > 0, highest, 1) / largest
    return (round_keeping_sums(kernels / step, largest) * step).astype(np.float32)
