"""The networks as Flax modules, and pure functions over a configuration and its variables."""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.networks.backend import check_backend
from mattingjax.networks.mmnet import MMNet, MMNetConfig
from mattingjax.networks.model_config import (
    ModelConfig,
    check_input_size,
    check_size,
    create_model,
    create_model_config,
    with_dropout,
)
from mattingjax.networks.modnet import MODNet, MODNetConfig
from mattingjax.networks.network import Network, Preprocessing
from mattingjax.networks.operations import normalise
from mattingjax.networks.registry import find_network, network_names, register_network
from mattingjax.networks.shapes import shapes_only

__all__ = [
    'MMNet',
    'MMNetConfig',
    'MODNet',
    'MODNetConfig',
    'ModelConfig',
    'Network',
    'Preprocessing',
    'apply_compiled',
    'apply_model',
    'check_backend',
    'check_input_size',
    'check_size',
    'create_model',
    'create_model_config',
    'find_bad_value',
    'find_network',
    'init_variables',
    'network_names',
    'normalise',
    'register_network',
    'variable_shapes',
    'with_dropout',
]

Variables = dict[str, Any]


def variable_shapes(config: ModelConfig) -> Variables:
    """Describes a network's variables, those of all heads, without computing anything.

    Args:
      config: The network.

    Returns:
      `params` and `batch_stats` as nested dictionaries of `jax.ShapeDtypeStruct`.

    Raises:
      ConfigError: JAX has no backend.
    """
    check_backend()  # here, since loading and importing call this first
    return jax.tree.map(lambda leaf: leaf, _variable_shapes(config))  # new dictionaries each time


@functools.lru_cache(maxsize=64)
def _variable_shapes(config: ModelConfig) -> Variables:
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    init = functools.partial(create_model(config).init, auxiliary=True)
    with shapes_only():
        return jax.eval_shape(init, jax.random.key(0), image)


def init_variables(config: ModelConfig, seed: int) -> Variables:
    """Draws a network's variables at random, those of all heads included.

    Kernels are normally distributed with variance 2 / fan-in (He et al.,
    https://arxiv.org/abs/1502.01852); scales and variances are 1, biases and means 0. NumPy draws
    them, as Flax's `init` would compile a program per kernel and give other numbers on other
    versions of JAX.

    Args:
      config: The network.
      seed: The random seed; equal seeds give equal variables on every machine.

    Returns:
      `params` and `batch_stats`, shaped as `variable_shapes` says, as NumPy float32 arrays.
    """
    rng = np.random.default_rng(seed)

    def draw(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        if name == 'kernel':
            scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return (scale * rng.standard_normal(leaf.shape)).astype(np.float32)
        return np.full(leaf.shape, name in ('scale', 'var'), np.float32)

    return jax.tree_util.tree_map_with_path(draw, variable_shapes(config))


def find_bad_value(variables: dict[str, Any]) -> tuple[str, str] | None:
    """Finds the first variable with values that no network can have.

    Args:
      variables: Arrays by path, such as 'params/…/kernel'.

    Returns:
      The path and what is wrong with the values; None if nothing is.
    """
    for path, value in variables.items():
        value = np.asarray(value)
        if value.dtype.kind not in 'fiu' and value.dtype != jnp.bfloat16:
            return path, f'expected real numbers, found values of type {value.dtype}'
        with np.errstate(over='ignore', invalid='ignore'):
            finite = np.isfinite(value.astype(np.float32))
        if not np.all(finite):
            return path, 'has values that are not finite in float32'
        if path.endswith('/var') and np.any(value < 0):
            return path, 'has a negative variance'
    return None


def apply_model(
    config: ModelConfig, variables: Variables, images: jax.Array, *, auxiliary: bool = False
) -> dict[str, jax.Array]:
    """Runs a network in inference mode; a pure function, for `jax.jit` and export.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`.
      images: RGB photos, float32 [N, H, W, 3] in [0, 255]; H and W are multiples of the network's
        stride.
      auxiliary: Whether the heads that only training needs are computed too.

    Returns:
      The outputs by name: `alpha` [N, H, W, 1] in [0, 1], and what the network's module documents.
    """
    normalised = normalise(config.preprocessing, images)
    outputs = create_model(config).apply(variables, normalised, auxiliary=auxiliary)
    return cast(dict[str, jax.Array], outputs)


# Compiled once per network and image shape; a configuration's provenance takes no part in its hash.
apply_compiled = jax.jit(apply_model, static_argnames=('config', 'auxiliary'))
