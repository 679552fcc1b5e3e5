"""Mobile DeepLabv3's channel groups, found by a walk through its layers in their order."""

from __future__ import annotations

from mattingjax.networks.channel_groups import RGB, GroupBuilder
from mattingjax.networks.deeplab.module import DeepLabConfig


def walk_deeplab(builder: GroupBuilder, config: DeepLabConfig) -> None:
    """Adds every layer of a Mobile DeepLabv3 to a builder."""
    x = builder.conv_bn('stem', RGB, 'stem')
    for i, block in enumerate(config.blocks):
        path, field = f'block{i}', f'blocks.{i}'
        hidden = x
        if block.expand:
            hidden = builder.conv_bn(f'{path}/expand', x, f'{field}.hidden')
        else:
            builder.join(f'{field}.hidden', x)
        builder.depthwise_bn(f'{path}/depthwise', hidden)
        if block.shortcut:
            builder.join(f'{field}.features', x)
        x = builder.conv_bn(f'{path}/project', hidden, f'{field}.features')
    branches = builder.conv_bn('image_pooling', x, 'image_pooling')
    branches += builder.conv_bn('aspp0', x, 'aspp.0')
    for i in range(1, len(config.aspp)):
        builder.depthwise_bn(f'aspp{i}_depthwise', x)
        branches += builder.conv_bn(f'aspp{i}_pointwise', x, f'aspp.{i}')
    x = builder.conv_bn('concat_projection', branches, 'projection')
    builder.head('logits', x)
