"""The channel groups of a network, by its own walk through its layers."""

from __future__ import annotations

import functools

from mattingjax.config.schema import Schema
from mattingjax.networks import ModelConfig, find_network
from mattingjax.networks.channel_groups import ChannelGroup, GroupBuilder


def channel_groups(config: ModelConfig) -> tuple[ChannelGroup, ...]:
    """Every group of channels of a network, in the order in which it computes them.

    Each convolution's output is in exactly one group, or in `fixed_convolutions`; heads that only
    training needs read channels like any other layer.
    """
    return _walk(config.network, config.architecture).groups()


def fixed_convolutions(config: ModelConfig) -> tuple[str, ...]:
    """The convolutions that are never pruned: their outputs are mattes and logits."""
    return tuple(_walk(config.network, config.architecture).fixed)


@functools.lru_cache(maxsize=64)
def _walk(network: str, architecture: Schema) -> GroupBuilder:
    builder = GroupBuilder(architecture)
    find_network(network).walk(builder, architecture)
    return builder
