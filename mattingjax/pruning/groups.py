"""The channel groups of a network, found by the walk in the network's record."""

from __future__ import annotations

import functools

from mattingjax.config.schema import Schema
from mattingjax.networks import ModelConfig, find_network
from mattingjax.networks.channel_groups import ChannelGroup, GroupBuilder


def channel_groups(config: ModelConfig) -> tuple[ChannelGroup, ...]:
    """Returns every channel group of a network, in the order in which it computes them.

    Each convolution's output belongs to exactly one group, or the convolution is one of the
    `fixed_convolutions`. The heads that only training needs are included.
    """
    return _walk(config.network, config.architecture).groups()


def fixed_convolutions(config: ModelConfig) -> tuple[str, ...]:
    """Returns the paths of the convolutions that are never pruned, as they give the outputs."""
    return tuple(_walk(config.network, config.architecture).fixed)


@functools.lru_cache(maxsize=64)
def _walk(network: str, architecture: Schema) -> GroupBuilder:
    builder = GroupBuilder(architecture)
    find_network(network).walk(builder, architecture)
    return builder
