"""Mixed precision: the layers' arrays and kernels are bfloat16, what would lose digits is float32.

Parameters are kept in float32, and a step casts only the kernels. Biases, scales, statistics, sums
over pixels, and what becomes of logits are float32. An operation computes so inside and returns the
type of the array it was given, so that what one layer hands to the next stays narrow; `sigmoid`
alone returns float32.

References:
  Micikevicius et al., Mixed Precision Training (https://arxiv.org/abs/1710.03740).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def cast_kernels(params: Any, dtype: str) -> Any:
    """Casts the kernels of a network; biases, scales and other vectors stay as they are.

    Args:
      params: A network's parameters as nested dictionaries.
      dtype: The type of the layers' arithmetic, 'float32' or 'bfloat16'.

    Returns:
      A tree of the same structure.
    """
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.ndim > 1 else leaf, params)


def at_least_float32(x: jax.Array) -> jax.Array:
    """Widens bfloat16 and float16 to float32; other floating-point types stay."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
