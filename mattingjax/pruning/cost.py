"""The cost of a network with other widths, computed without tracing a network for each."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping

from flax.traverse_util import flatten_dict

from mattingjax.networks import ModelConfig, variable_shapes
from mattingjax.networks.channel_groups import ChannelGroup, TensorSlice
from mattingjax.networks.complexity import measure_complexity
from mattingjax.pruning.groups import channel_groups


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a network; `measure_complexity` says what is counted.

    Attributes:
      parameters: The number of trainable parameters.
      macs: The multiply-accumulates on one image of the network's input size, every head included,
        as published figures count them.
      inference_macs: The multiply-accumulates without the heads that only training needs.
      megabytes: The size of all variables as float32, in 10⁶ bytes.
    """

    parameters: int
    macs: int
    inference_macs: int
    megabytes: float


class CostModel:
    """Computes the cost of a network for any widths of its groups.

    Pruning changes the kernels, not the heights and widths of the feature maps. So each layer's
    MACs are proportional to the size of its kernel, and the network is traced once.

    Args:
      config: The network.
    """

    def __init__(self, config: ModelConfig):
        self._layers = measure_complexity(config)['layers']
        self._shapes = {
            path: leaf.shape
            for path, leaf in flatten_dict(variable_shapes(config), sep='/').items()
        }
        self._slices = [(group, part) for group in channel_groups(config) for part in group.slices]

    def __call__(self, widths: Mapping[str, int]) -> Cost:
        """Computes the cost with these widths, by group; absent groups keep their own."""
        shapes = {path: list(shape) for path, shape in self._shapes.items()}
        for group, part in self._slices:
            width = widths.get(group.name, group.width)
            shapes[part.path][part.axis] -= part.count - _kept(group, part, width)
        sizes = {path: math.prod(shape) for path, shape in shapes.items()}
        macs = inference_macs = 0
        for layer in self._layers:
            kernel = f'params/{layer["name"]}/kernel'
            if layer['macs']:
                layer_macs = layer['macs'] * sizes[kernel] // math.prod(self._shapes[kernel])
                macs += layer_macs
                inference_macs += 0 if layer['training_only'] else layer_macs
        parameters = sum(size for path, size in sizes.items() if path.startswith('params/'))
        return Cost(parameters, macs, inference_macs, sum(sizes.values()) * 4 / 1e6)


@functools.lru_cache(maxsize=8)
def cost_model(config: ModelConfig) -> CostModel:
    """Makes the cost model of a network, which is cached."""
    return CostModel(config)


def _kept(group: ChannelGroup, part: TensorSlice, width: int) -> int:
    return width if part.count == group.width else width // 2
