"""The two networks told as channel groups: each function walks as its module's `__call__` does."""

from __future__ import annotations

import functools

from mattingjax.models import MMNetConfig, ModelConfig, MODNetConfig, mmnet, mobilenet_v2
from mattingjax.models.mmnet import DOWN, EncoderBlockConfig
from mattingjax.models.mobilenet_v2 import ENC2X, ENC4X, MobileNetV2Config
from mattingjax.pruning.groups import ChannelGroup, Features, GroupBuilder

EPSILONS = {'modnet': mobilenet_v2.EPSILON, 'mmnet': mmnet.EPSILON}  # of batch normalisation
_RGB: Features = (3,)


def channel_groups(config: ModelConfig) -> tuple[ChannelGroup, ...]:
    """Every group of channels of a network, in the order in which it computes them.

    Each convolution's output is in exactly one group, or in `fixed_convolutions`; heads that only
    training needs read channels like any other layer.
    """
    return _walk(config.architecture).groups()


def fixed_convolutions(config: ModelConfig) -> tuple[str, ...]:
    """The convolutions that are never pruned: their outputs are mattes and logits."""
    return tuple(_walk(config.architecture).fixed)


@functools.lru_cache(maxsize=64)
def _walk(architecture: MODNetConfig | MMNetConfig) -> GroupBuilder:
    builder = GroupBuilder(architecture)
    if isinstance(architecture, MODNetConfig):
        _walk_modnet(builder, architecture)
    else:
        _walk_mmnet(builder, architecture)
    return builder


def _walk_modnet(builder: GroupBuilder, config: MODNetConfig) -> None:
    enc2x, enc4x, enc32x = _walk_backbone(builder, config.backbone)

    branch = 'lr_branch'
    squeezed = builder.conv(f'{branch}/se_block/fc_0', enc32x, 'se_hidden')
    builder.gate(f'{branch}/se_block/fc_2', squeezed, enc32x)
    lr16x = builder.conv_ib_norm(f'{branch}/conv_lr16x', enc32x, 'conv_lr16x')
    lr8x = builder.conv_ib_norm(f'{branch}/conv_lr8x', lr16x, 'conv_lr8x')
    builder.head(f'{branch}/conv_lr', lr8x)

    branch = 'hr_branch'
    enc2x = builder.conv_ib_norm(f'{branch}/tohr_enc2x', enc2x, 'tohr_enc2x')
    x = builder.conv_ib_norm(f'{branch}/conv_enc2x', _RGB + enc2x, 'conv_enc2x')
    enc4x = builder.conv_ib_norm(f'{branch}/tohr_enc4x', enc4x, 'tohr_enc4x')
    x = builder.conv_ib_norm(f'{branch}/conv_enc4x', x + enc4x, 'conv_enc4x')
    x = x + lr8x + _RGB
    for i in range(len(config.conv_hr4x)):
        x = builder.conv_ib_norm(f'{branch}/conv_hr4x_{i}', x, f'conv_hr4x.{i}')
    x = x + enc2x
    for i in range(len(config.conv_hr2x)):
        x = builder.conv_ib_norm(f'{branch}/conv_hr2x_{i}', x, f'conv_hr2x.{i}')
    hr2x = x
    x = builder.conv_ib_norm(f'{branch}/conv_hr_0', hr2x + _RGB, 'conv_hr')
    builder.head(f'{branch}/conv_hr_1', x)

    branch = 'f_branch'
    x = builder.conv_ib_norm(f'{branch}/conv_lr4x', lr8x, 'conv_lr4x')
    x = builder.conv_ib_norm(f'{branch}/conv_f2x', x + hr2x, 'conv_f2x')
    x = builder.conv_ib_norm(f'{branch}/conv_f_0', x + _RGB, 'conv_f')
    builder.head(f'{branch}/conv_f_1', x)


def _walk_backbone(
    builder: GroupBuilder, config: MobileNetV2Config
) -> tuple[Features, Features, Features]:
    taps = {}
    x = builder.conv_bn('backbone/features_0', _RGB, 'backbone.stem')
    for i, block in enumerate(config.blocks, start=1):
        path, field = f'backbone/features_{i}', f'backbone.blocks.{i - 1}'
        if block.expand:
            hidden = builder.conv_bn(f'{path}/expand', x, f'{field}.hidden')
        else:
            builder.join(f'{field}.hidden', x)
            hidden = x
        builder.depthwise_bn(f'{path}/depthwise', hidden)
        if block.shortcut:
            builder.join(f'{field}.features', x)
        x = taps[i] = builder.conv_bn(f'{path}/project', hidden, f'{field}.features')
    last = f'backbone/features_{len(config.blocks) + 1}'
    return taps[ENC2X], taps[ENC4X], builder.conv_bn(last, x, 'backbone.last')


def _walk_mmnet(builder: GroupBuilder, config: MMNetConfig) -> None:
    x = builder.conv_bn('init_block', _RGB, 'init')
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
