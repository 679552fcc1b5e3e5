"""MODNet's channel groups, found by a walk through its layers in the order of their calls."""

from __future__ import annotations

from mattingjax.networks.channel_groups import RGB, GroupBuilder
from mattingjax.networks.mobilenet_v2 import walk_mobilenet_v2
from mattingjax.networks.modnet.module import MODNetConfig


def walk_modnet(builder: GroupBuilder, config: MODNetConfig) -> None:
    """Adds every layer of a MODNet to a builder."""
    enc2x, enc4x, enc32x = walk_mobilenet_v2(builder, config.backbone)

    branch = 'lr_branch'
    squeezed = builder.conv(f'{branch}/se_block/fc_0', enc32x, 'se_hidden')
    builder.gate(f'{branch}/se_block/fc_2', squeezed, enc32x)
    lr16x = builder.conv_ib_norm(f'{branch}/conv_lr16x', enc32x, 'conv_lr16x')
    lr8x = builder.conv_ib_norm(f'{branch}/conv_lr8x', lr16x, 'conv_lr8x')
    builder.head(f'{branch}/conv_lr', lr8x)

    branch = 'hr_branch'
    enc2x = builder.conv_ib_norm(f'{branch}/tohr_enc2x', enc2x, 'tohr_enc2x')
    x = builder.conv_ib_norm(f'{branch}/conv_enc2x', RGB + enc2x, 'conv_enc2x')
    enc4x = builder.conv_ib_norm(f'{branch}/tohr_enc4x', enc4x, 'tohr_enc4x')
    x = builder.conv_ib_norm(f'{branch}/conv_enc4x', x + enc4x, 'conv_enc4x')
    x = x + lr8x + RGB
    for i in range(len(config.conv_hr4x)):
        x = builder.conv_ib_norm(f'{branch}/conv_hr4x_{i}', x, f'conv_hr4x.{i}')
    x = x + enc2x
    for i in range(len(config.conv_hr2x)):
        x = builder.conv_ib_norm(f'{branch}/conv_hr2x_{i}', x, f'conv_hr2x.{i}')
    hr2x = x
    x = builder.conv_ib_norm(f'{branch}/conv_hr_0', hr2x + RGB, 'conv_hr')
    builder.head(f'{branch}/conv_hr_1', x)

    branch = 'f_branch'
    x = builder.conv_ib_norm(f'{branch}/conv_lr4x', lr8x, 'conv_lr4x')
    x = builder.conv_ib_norm(f'{branch}/conv_f2x', x + hr2x, 'conv_f2x')
    x = builder.conv_ib_norm(f'{branch}/conv_f_0', x + RGB, 'conv_f')
    builder.head(f'{branch}/conv_f_1', x)
