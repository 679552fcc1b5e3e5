"""Prunes the published MODNet to the size of MODNet-P (1.34 M parameters, 4.4 G MACs at 512).

mattingjax prune --checkpoint MODNET --output MODNET_P --config configs/prune_modnet.py
mattingjax prune --checkpoint MODNET --output MODNET_P --recalibrate PHOTOS \
    --config configs/prune_modnet.py:weighed --method taylor --images PHOTOS --alphas MATTES

The first takes the same share of every group: 1,326,035 parameters and 4.392 G MACs (all heads) of
the published weights. The second removes most where a network spends most, and prints 1,317,883
parameters and 4.309 G MACs: most parameters lie in the last stage and behind it, most MACs in the
high-resolution branch. The layers before the last stage, which learn what a person is, have little
of either and stay.

The published weights have batch normalisation folded into their kernels, which hides how much
channels matter; --recalibrate restores it first. The pruned network must be retrained, as its
mattes are useless.
"""

from ml_collections import ConfigDict

from mattingjax.config import prune_config


def get_config(widths: str = 'uniform') -> ConfigDict:
    if widths not in ('uniform', 'weighed'):
        raise ValueError(f'expected uniform or weighed, got {widths!r}')
    config = prune_config()
    if widths == 'uniform':
        config.target_params = '1.34M'
        config.target_macs = '4.4G'
        return config
    config.ratio = 0.0  # groups that group_ratios does not name stay as they are
    config.group_ratios = (
        'backbone.blocks.12.hidden=0.11',
        'backbone.blocks.13.hidden=0.3',
        'backbone.blocks.1[456].hidden=0.66',
        'backbone.blocks.16.features=0.4',
        'backbone.last=0.85',
        'se_hidden=0.85',
        'conv_lr16x=0.58',
        'conv_lr8x=0.25',
        'tohr_*=0.5',
        'conv_enc*=0.5',
        'conv_hr4x.*=0.5',
        'conv_hr4x.0=0.62',
        'conv_hr2x.*=0.5',
        'conv_hr2x.0=0.62',
        'conv_hr=0.75',
        'conv_lr4x=0.5',
        'conv_f*=0.5',
    )
    return config
