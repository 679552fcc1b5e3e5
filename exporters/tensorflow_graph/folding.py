"""Folds constants into kernels: batch normalisation, and the scaling of the photo.

Pure functions over a configuration and its variables; the network computes the same as before.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.networks import ModelConfig, Variables, find_network


def fold_batch_norm(config: ModelConfig, variables: Variables) -> Variables:
    """Moves every batch normalisation into the convolution before it.

    With s = scale / sqrt(var + epsilon) the kernel becomes kernel · s, and what is left of the
    normalisation adds bias − mean · s. If the convolution has a bias of its own (MODNet's
    branches), that takes up the rest: bias · s + (…). IBNorm's convolution is folded in its
    batch-normed channels only.

    Args:
      config: The network.
      variables: `params` and `batch_stats`; they are not changed.

    Returns:
      Variables of the same structure, float32, each normalisation an identity (mean 0, variance
      1 − epsilon, scale 1) but for its bias, so that the same modules apply them. Computed in
      float64.
    """
    variables = jax.tree.map(np.asarray, variables)
    epsilon = find_network(config.network).epsilon
    params, batch_stats = _fold(variables['params'], variables['batch_stats'], epsilon)
    return {'params': params, 'batch_stats': batch_stats}


def _fold(
    params: dict[str, Any], batch_stats: dict[str, Any], epsilon: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    if 'bn' in params:
        return _fold_layer(params, batch_stats['bn'], epsilon)
    params, batch_stats = dict(params), dict(batch_stats)
    for name in batch_stats:
        params[name], batch_stats[name] = _fold(params[name], batch_stats[name], epsilon)
    return params, batch_stats


def _fold_layer(
    params: dict[str, Any], statistics: dict[str, Any], epsilon: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    bn = {
        name: np.asarray(value, np.float64)
        for name, value in {**params['bn'], **statistics}.items()
    }
    factor = bn['scale'] / np.sqrt(bn['var'] + epsilon)
    shift = bn['bias'] - bn['mean'] * factor
    channels = len(factor)
    conv = {name: np.array(value, np.float64) for name, value in params['conv'].items()}
    conv['kernel'][..., :channels] *= factor
    if 'bias' in conv:
        conv['bias'][:channels] = conv['bias'][:channels] * factor + shift
        shift = np.zeros(channels)
    folded = {
        'conv': {name: value.astype(np.float32) for name, value in conv.items()},
        'bn': {'scale': np.ones(channels, np.float32), 'bias': shift.astype(np.float32)},
    }
    identity = {
        'mean': np.zeros(channels, np.float32),
        'var': np.full(channels, 1 - epsilon, np.float32),
    }
    return folded, {'bn': identity}


def fold_scaling(config: ModelConfig, variables: Variables) -> tuple[ModelConfig, Variables]:
    """Moves the division of the photo into the first convolution, if the network allows it.

    MMNet does. MODNet stays as it is: it subtracts a mean from the photo before zero padding, which
    no kernel can do.

    Args:
      config: The network.
      variables: `params` and `batch_stats`; they are not changed.

    Returns:
      The configuration, whose preprocessing no longer scales, and its variables.
    """
    layer = find_network(config.network).scaling_layer
    if not layer or any(config.preprocessing.mean):
        return config, variables
    std = np.asarray(config.preprocessing.std, np.float64)
    params = flatten_dict(variables['params'], sep='/')
    kernel = np.asarray(params[f'{layer}/kernel'], np.float64) / std[:, None]
    params[f'{layer}/kernel'] = kernel.astype(np.float32)
    preprocessing = dataclasses.replace(config.preprocessing, std=(1.0, 1.0, 1.0))
    config = dataclasses.replace(config, preprocessing=preprocessing)
    return config, {**variables, 'params': unflatten_dict(params, sep='/')}


def without_scaling(config: ModelConfig) -> ModelConfig:
    """The configuration for images that are normalised already."""
    identity = dataclasses.replace(config.preprocessing, mean=(0.0,) * 3, std=(1.0,) * 3)
    return dataclasses.replace(config, preprocessing=identity)
