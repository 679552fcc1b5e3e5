"""MMNet's channel groups, found by a walk through the layers in the order of the module's call."""

from __future__ import annotations

from mattingjax.networks.channel_groups import RGB, Features, GroupBuilder
from mattingjax.networks.mmnet.module import DOWN, EncoderBlockConfig, MMNetConfig


def walk_mmnet(builder: GroupBuilder, config: MMNetConfig) -> None:
    """Adds every layer of an MMNet to a builder."""
    x = builder.conv_bn('init_block', RGB, 'init')
    encoded = []
    for i, block in enumerate(config.encoder):
        x = _walk_encoder_block(builder, f'enc_block{i}', f'encoder.{i}', block, x, i in DOWN)
        encoded.append(x)
    for i, source in enumerate((4, 0)):
        path = f'dec_block{i}'
        x = builder.conv_bn(f'{path}/pointwise', x, f'compressed.{i}')
        shortcut = builder.depthwise_bn(f'{path}/shortcut_depthwise', encoded[source])
        x = x + builder.conv_bn(f'{path}/shortcut_pointwise', shortcut, f'shortcut.{i}')
    for i, block in enumerate(config.refinement):
        x = _walk_encoder_block(builder, f'dec_block{i + 2}', f'refinement.{i}', block, x, False)
    x = builder.conv_bn('dec_block4', x, 'final')
    builder.head('final_block', x)
    builder.head('aux_block', encoded[-1])


def _walk_encoder_block(
    builder: GroupBuilder,
    path: str,
    field: str,
    config: EncoderBlockConfig,
    x: Features,
    has_stride: bool,
) -> Features:
    branches: Features = ()
    for i in range(len(config.expanded)):
        branch = builder.conv_bn(f'{path}/branch{i}_pointwise', x, f'{field}.expanded.{i}')
        if has_stride:
            builder.depthwise_bn(f'{path}/branch{i}_stride', branch)
        branches += builder.depthwise_bn(f'{path}/branch{i}_dilation', branch)
    return builder.conv_bn(f'{path}/merge', branches, f'{field}.features')
