"""Weight decay as MMNet's original has it: of the kernels that are not depthwise, in the loss."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def dense_kernels(params: Any) -> Any:
    """Marks the kernels that weight decay is for; also a mask for Optax.

    Args:
      params: A network's parameters, nested dicts.

    Returns:
      The same tree of bools: True for kernels of convolutions that are not depthwise. A kernel
      over several pixels that reads a single channel is taken for depthwise.
    """

    def is_dense(path: tuple[Any, ...], leaf: Any) -> bool:
        if path[-1].key != 'kernel':
            return False
        height, width, channels, _ = leaf.shape
        return channels > 1 or height * width == 1

    return jax.tree_util.tree_map_with_path(is_dense, params)


def l2_regularization(params: Any, *, scale: float = 4e-7) -> jax.Array:
    """Half the sum of squares of the `dense_kernels`, times `scale`; to be added to the loss.

    Args:
      params: A network's parameters.
      scale: The original's by default.

    Returns:
      A number, at least 0.
    """
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(dense_kernels(params)), strict=True)
    squares = (jnp.sum(jnp.square(kernel.astype(jnp.float32))) for kernel, dense in leaves if dense)
    return scale / 2 * sum(squares, jnp.zeros((), jnp.float32))
