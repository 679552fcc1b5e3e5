"""Complexity: a network's parameters and multiply-accumulates (MACs), layer by layer."""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mattingjax.errors import ConfigError
from mattingjax.networks import (
    ModelConfig,
    check_size,
    create_model,
    create_model_config,
    find_network,
    variable_shapes,
)
from mattingjax.networks.layers import BatchNorm, Conv
from mattingjax.networks.shapes import shapes_only


def create_published_config(network: str, width_multiplier: float | None = None) -> ModelConfig:
    """Makes the configuration of a network with its published widths.

    Args:
      network: The name of the network in the registry.
      width_multiplier: The factor of the widths, for networks that were published at several; None
        gives the widths without a factor.

    Raises:
      ConfigError: There is no such network, or it was published at one width only.
    """
    if width_multiplier is None:
        return create_model_config(network)
    scale = find_network(network).scale
    if scale is None:
        raise ConfigError(f'width_multiplier: {network} was published at one width only')
    return create_model_config(network, scale(width_multiplier))


def measure_complexity(
    config: ModelConfig, height: int | None = None, width: int | None = None
) -> dict[str, Any]:
    """Counts parameters and multiply-accumulates (MACs) of inference on one image.

    The network's own module is traced without computing anything, so the count cannot go stale.
    MACs are those of convolutions, the gates of squeeze-and-excitation included; normalisation
    and resizing are left out.

    Args:
      config: The network.
      height: The height of the input in pixels; the network's input size if None.
      width: The width of the input in pixels; the network's input size if None.

    Returns:
      A dictionary of JSON types: `network`, `height` and `width`; `parameters`, the number of
      trainable parameters; `variables`, which adds the statistics of batch normalisation; `macs`
      with every head, as published figures count them; `inference_macs` without the heads that
      only training needs; and `layers`, a list of dictionaries with `name`, `kind`, `output`
      [height, width, channels], `parameters`, `macs` and `training_only`.

    Raises:
      ConfigError: A side is no multiple of the network's stride.
    """
    height = config.input_size if height is None else height
    width = config.input_size if width is None else width
    check_size(config, height, width, 'complexity')
    layers = _trace(config, height, width, auxiliary=True)
    needed = _trace(config, height, width, auxiliary=False)
    for name, layer in layers.items():
        layer['training_only'] = name not in needed
    shapes = variable_shapes(config)
    return {
        'network': config.network,
        'height': height,
        'width': width,
        'parameters': _count(shapes['params']),
        'variables': _count(shapes),
        'macs': sum(layer['macs'] for layer in layers.values()),
        'inference_macs': sum(layer['macs'] for layer in needed.values()),
        'layers': list(layers.values()),
    }


def _trace(
    config: ModelConfig, height: int, width: int, *, auxiliary: bool
) -> dict[str, dict[str, Any]]:
    """Describes each layer by name, in the order in which the network runs them."""
    layers: dict[str, dict[str, Any]] = {}

    def record(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = next_call(*args, **kwargs)
        module = context.module
        if isinstance(module, Conv | BatchNorm) and context.method_name == '__call__':
            macs, kind = 0, 'batch norm'
            if isinstance(module, Conv):
                kind = 'depthwise' if module.depthwise else 'convolution'
                kind += f' {module.kernel_size}x{module.kernel_size}'
                kernel = module.variables['params']['kernel']
                macs = output.shape[1] * output.shape[2] * math.prod(kernel.shape)
            name = '/'.join(module.path)
            layers[name] = {
                'name': name,
                'kind': kind,
                'output': list(output.shape[1:]),
                'parameters': _count(module.variables['params']),
                'macs': macs,
            }
        return output

    image = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    with nn.intercept_methods(record), shapes_only():
        apply = functools.partial(create_model(config).apply, auxiliary=auxiliary)
        jax.eval_shape(apply, variable_shapes(config), image)
    return layers


def _count(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def format_complexity(complexity: dict[str, Any]) -> str:
    """Formats the result of `measure_complexity` as a table for a terminal."""
    rows = [('layer', 'kind', 'output', 'parameters', 'MACs')]
    rows += [
        (
            layer['name'],
            layer['kind'],
            'x'.join(map(str, layer['output'])),
            f'{layer["parameters"]:,}',
            f'{layer["macs"]:,}',
        )
        for layer in complexity['layers']
    ]
    total = f'{complexity["network"]} at {complexity["height"]}x{complexity["width"]}'
    rows.append((total, '', '', f'{complexity["parameters"]:,}', f'{complexity["macs"]:,}'))
    rows.append(('of these, inference runs', '', '', '', f'{complexity["inference_macs"]:,}'))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        '  '.join(
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = '-' * len(lines[0])
    return '\n'.join([lines[0], rule, *lines[1:-2], rule, *lines[-2:]])
