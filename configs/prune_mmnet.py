"""Prunes MMNet to half of its multiply-accumulates (MACs).

python scripts/prune.py --checkpoint MMNET --output MMNET_P --config configs/prune_mmnet.py

At width 1.0 it prints 0.091 M parameters (47.8 %) and 0.161 G MACs (49.6 %).
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    config = ConfigDict()

    # How widths are chosen: 'uniform' (the same share of each group) or 'global' (the least
    # important channels wherever they are).
    config.selection = 'uniform'
    # Share of the channels that goes, in [0, 1); instead of the targets.
    config.ratio = placeholder(float)

    # Budgets: numbers (k, M, G) or shares of the dense network ('0.5x'). The least pruning that
    # meets all of them.
    config.target_params = placeholder(str)
    config.target_macs = '0.5x'
    # Milliseconds of OpenVINO on this machine, or a share; exports a network for each trial.
    config.target_latency = placeholder(str)

    # Widths are multiples of this. MMNet is narrow, most groups have 16 to 64 channels: steps of 8
    # would be coarse.
    config.round_to = 4
    # The least that a group keeps.
    config.min_channels = 4
    # The largest share that a group loses.
    config.max_ratio = 0.9
    # Groups that stay as they are: names from --dry_run, * and ? allowed.
    config.ignore = ()
    # Groups with ratios of their own: {'encoder.*.features': 0.25}.
    config.group_ratios = ConfigDict()

    # What makes a channel important: 'l1', 'l2', 'bn_scale', 'fpgm', 'taylor', 'random'.
    config.method = 'l1'
    # How kernels that compute a group together combine: 'mean', 'sum', 'max'.
    config.aggregate = 'mean'
    # Divide each kernel's importance by its mean, so that groups compare.
    config.normalise = True
    # Count a channel by its kernel with batch normalisation folded in, times the weights that read
    # it.
    config.scale_invariant = True
    # Of method 'random'.
    config.seed = 0

    return config
