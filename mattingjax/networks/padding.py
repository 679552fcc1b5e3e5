"""How many pixels a convolution adds around its input."""

from __future__ import annotations

import jax
import numpy as np

Padding = str | int  # 'SAME' as in TensorFlow, or as many pixels on every side as in PyTorch


def explicit_padding(
    size: int, kernel_size: int, stride: int, dilation: int, padding: Padding
) -> tuple[int, int]:
    """Computes how many pixels to add before and after one spatial axis of `size` pixels."""
    if padding != 'SAME':
        return int(padding), int(padding)
    output_size = -(-size // stride)
    reach = dilation * (kernel_size - 1) + 1
    total = max((output_size - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def spatial_padding(
    x: jax.Array, kernel: jax.Array | np.ndarray, stride: int, dilation: int, padding: Padding
) -> list[tuple[int, int]]:
    """Computes `explicit_padding` of both spatial axes of `x` for a kernel [h, w, ...]."""
    return [
        explicit_padding(size, taps, stride, dilation, padding)
        for size, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    ]
