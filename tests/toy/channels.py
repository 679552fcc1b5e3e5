"""The toy network's channel groups, found by a walk through its layers in their order."""

from __future__ import annotations

from mattingjax.networks.channel_groups import RGB, GroupBuilder
from tests.toy.module import ToyConfig


def walk_toy(builder: GroupBuilder, config: ToyConfig) -> None:
    """Adds every layer of a toy network to a builder."""
    x = builder.conv_bn('stem', RGB, 'stem')
    x = builder.conv_bn('body', x, 'body')
    builder.head('head', x)
