"""Recalibration: the means and variances of batch normalisation are measured anew on photos.

Pruning changes the inputs of later layers, so their running statistics become wrong, which harms
more than the loss of the channels. A few batches, without labels or gradients, mend that.

Where normalisation was folded into the kernels there are no statistics to mend: each normalisation
only adds a bias, and new statistics would change what it computes. `restore_batch_norm` makes true
normalisations of such ones first, on the whole network.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.errors import MattingError
from mattingjax.networks import (
    ModelConfig,
    Variables,
    create_model,
    find_network,
    normalise,
    with_dropout,
)
from mattingjax.networks.layers import BatchNorm

Statistics = dict[str, dict[str, np.ndarray]]  # 'mean' and 'var' by path of the normalisation


def recalibrate(
    config: ModelConfig, variables: Variables, batches: Iterable[np.ndarray]
) -> Variables:
    """Replaces the batch statistics by exact ones of these photos.

    The network runs as in training: each normalisation uses the statistics of its batch. The new
    means and variances are those of all photos together; nothing of the old ones remains.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`, without folded normalisations; they are
        not changed.
      batches: Batches of photos, float32 [N, H, W, 3] in [0, 255]; each shape is compiled once.

    Returns:
      The variables with new `batch_stats`.

    Raises:
      MattingError: There are no photos, or a normalisation is folded into its kernel.
    """
    if folded := find_folded(config, variables):
        raise MattingError(
            f'{folded[0]}: batch normalisation is folded in, there is nothing to recalibrate; '
            'restore it first, before pruning'
        )
    statistics = measure_statistics(config, variables, batches, train=True)
    return _with_batch_stats(variables, statistics)


def restore_batch_norm(
    config: ModelConfig, variables: Variables, batches: Iterable[np.ndarray]
) -> Variables:
    """Turns normalisations that were folded into their kernels back into true ones.

    The output of such a kernel has a mean m and a variance v on these photos. Normalising with
    them, then scaling by √(v + ε) and adding m, changes nothing; but now the layer can be
    recalibrated, and trained with normalisation.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`; they are not changed.
      batches: Batches of photos, float32 [N, H, W, 3] in [0, 255]; each shape is compiled once.

    Returns:
      The variables, in which folded normalisations have statistics, scales and biases; the same
      object if none is folded.

    Raises:
      MattingError: There are no photos.
    """
    folded = find_folded(config, variables)
    if not folded:
        return variables
    statistics = measure_statistics(config, variables, batches, train=False)
    values = flatten_dict(jax.tree.map(np.asarray, variables), sep='/')
    epsilon = find_network(config.network).epsilon
    for path in folded:
        mean, variance = statistics[path]['mean'], statistics[path]['var']
        values[f'batch_stats/{path}/mean'] = mean
        values[f'batch_stats/{path}/var'] = variance
        values[f'params/{path}/scale'] = np.sqrt(variance + np.float32(epsilon))
        values[f'params/{path}/bias'] = values[f'params/{path}/bias'] + mean
    return unflatten_dict(values, sep='/')


def find_folded(config: ModelConfig, variables: Variables) -> list[str]:
    """Finds the paths of the normalisations that only add a bias: mean 0, scale / deviation 1."""
    epsilon = find_network(config.network).epsilon
    values = flatten_dict(variables, sep='/')
    folded = []
    for name in values:
        if not (name.startswith('batch_stats/') and name.endswith('/mean')):
            continue
        path = name.removeprefix('batch_stats/').removesuffix('/mean')
        variance = np.asarray(values[f'batch_stats/{path}/var'])
        scale = np.asarray(values[f'params/{path}/scale'])
        # A new network has variances of exactly 1, so only variances of 1 − ε count as folded.
        is_unit = np.abs(variance + epsilon - 1) < epsilon / 4
        if not np.any(values[name]) and np.all(scale == 1) and np.all(is_unit):
            folded.append(path)
    return folded


def measure_statistics(
    config: ModelConfig, variables: Variables, batches: Iterable[np.ndarray], *, train: bool
) -> Statistics:
    """Measures the mean and variance, by channel, of the input of each batch normalisation.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`.
      batches: Batches of photos, float32 [N, H, W, 3] in [0, 255]; each shape is compiled once.
      train: Whether normalisations use the statistics of the batch, and not the running ones.

    Returns:
      'mean' and 'var', float32 [C] over all photos and pixels, by path of the normalisation. The
      variance is the mean of the batches' variances plus the variance of their means.

    Raises:
      MattingError: There are no photos.
    """
    # In float64, since squares of means are subtracted.
    weight = 0
    means: dict[str, np.ndarray] = {}
    squares: dict[str, np.ndarray] = {}
    for images in batches:
        measured = _measure(config, variables, images, train=train)
        weight += len(images)
        for path, values in measured.items():
            mean, variance = (np.asarray(value, np.float64) for value in values)
            means[path] = means.get(path, 0) + len(images) * mean
            squares[path] = squares.get(path, 0) + len(images) * (variance + mean**2)
    if not weight:
        raise MattingError('recalibration: there are no photos')
    return {
        path: {
            'mean': (mean / weight).astype(np.float32),
            'var': np.maximum(squares[path] / weight - (mean / weight) ** 2, 0).astype(np.float32),
        }
        for path, mean in means.items()
    }


@functools.partial(jax.jit, static_argnames=('config', 'train'))
def _measure(
    config: ModelConfig, variables: Variables, images: jax.Array, *, train: bool
) -> dict[str, tuple[jax.Array, jax.Array]]:
    config = with_dropout(config, 0.0)  # dropped values would count as zeros
    measured = {}

    def record(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, BatchNorm) and context.method_name == '__call__':
            x = args[0]
            mean = jnp.mean(x, axis=(0, 1, 2))
            variance = jnp.mean(jnp.square(x - mean), axis=(0, 1, 2))
            measured['/'.join(context.module.path)] = mean, variance
        return next_call(*args, **kwargs)

    with nn.intercept_methods(record):
        create_model(config).apply(
            variables,
            normalise(config.preprocessing, images),
            train=train,
            auxiliary=True,
            mutable=['batch_stats'],
        )
    return measured


def _with_batch_stats(variables: Variables, statistics: Statistics) -> Variables:
    batch_stats = {
        f'{path}/{name}': value
        for path, values in statistics.items()
        for name, value in values.items()
    }
    return {**variables, 'batch_stats': unflatten_dict(batch_stats, sep='/')}
