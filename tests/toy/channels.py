"""The toy network told as channel groups: the walk goes through the layers as its call does."""

from __future__ import annotations

from mattingjax.networks.channel_groups import RGB, GroupBuilder
from tests.toy.module import ToyConfig


def walk_toy(builder: GroupBuilder, config: ToyConfig) -> None:
    """Tells of every layer of a toy network."""
    x = builder.conv_bn('stem', RGB, 'stem')
    x = builder.conv_bn('body', x, 'body')
    builder.head('head', x)
