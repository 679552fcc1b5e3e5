"""Weights rounded to eight bits so that every kernel keeps its sum.

Rounding each tap to the nearest value leaves an error in the sum of a kernel, and that error is
multiplied by what is constant in the map: of the first depthwise layer of a MobileNet, whose
kernels tell edges and so almost cancel out, whole channels move. With some taps rounded the other
way the sum is off by half a step at most.

References:
  Guo et al., SQuant: On-the-Fly Data-Free Quantization via Diagonal Hessian Approximation,
    https://arxiv.org/abs/2202.07471, whose first two steps do this.
"""

from __future__ import annotations

import numpy as np

LARGEST = 127  # of signed eight bits, symmetric


def round_keeping_sums(kernels: np.ndarray) -> np.ndarray:
    """Rounds a convolution's weights to multiples of each output's largest, divided by 127.

    Args:
      kernels: float [O, I, taps].

    Returns:
      float32 [O, I, taps], each value a multiple of its output's step, so that quantising them once
      more with the same step changes nothing.
    """
    largest = np.abs(kernels).max(axis=(1, 2), keepdims=True).astype(np.float64)
    step = np.where(largest > 0, largest, 1) / LARGEST
    exact = kernels / step
    lower = np.floor(exact)
    missing = np.round(exact.sum(axis=2, keepdims=True)) - lower.sum(axis=2, keepdims=True)
    # The taps with the largest fractions are rounded up, as many as the sum needs.
    order = np.argsort(np.argsort(lower - exact, axis=2, kind='stable'), axis=2)
    rounded = lower + (order < missing)
    # The largest weight says what the step is.
    rounded = np.where(np.abs(exact) >= LARGEST - 1e-9, np.round(exact), rounded)
    return (np.clip(rounded, -LARGEST, LARGEST) * step).astype(np.float32)
