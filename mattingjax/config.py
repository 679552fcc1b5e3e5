"""The settings of experiments, with their defaults; the files in configs/ change some of them."""

from __future__ import annotations

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def prune_config() -> ConfigDict:
    """Settings of pruning, the fields of `pruning.PruneOptions`."""
    config = ConfigDict()

    # How widths are chosen: 'uniform' (the same share of each group), 'global' (the least important
    # channels wherever they are) or 'reference' (the original pruner's rule for MODNet).
    config.selection = 'uniform'
    # Share of the channels that goes, in [0, 1); instead of the targets. With 'reference': of the
    # high-resolution and fusion branches.
    config.ratio = placeholder(float)
    # With 'reference': the backbone's threshold in [0, 1]; the higher, the less stays.
    config.threshold = placeholder(float)
    # With 'reference': keep shortcuts that the original would drop.
    config.keep_shortcuts = False

    # Budgets: numbers (k, M, G) or shares of the dense network ('0.5x'). The least pruning that
    # meets all of them. MACs count the training heads too, as published figures do.
    config.target_params = placeholder(str)
    config.target_macs = placeholder(str)
    # Milliseconds of OpenVINO on this machine, or a share; exports a network for each trial.
    config.target_latency = placeholder(str)

    # Widths are multiples of this, which SIMD units and NPUs like.
    config.round_to = 8
    # The least that a group keeps.
    config.min_channels = 8
    # The largest share that a group loses.
    config.max_ratio = 0.9
    # Groups that stay as they are: names from --dry_run, * and ? allowed.
    config.ignore = ()
    # Groups with ratios of their own: {'conv_hr*': 0.25}.
    config.group_ratios = ConfigDict()

    # What makes a channel important: 'l1', 'l2', 'bn_scale', 'fpgm', 'taylor', 'random'.
    config.method = 'l1'
    # How kernels that compute a group together combine: 'mean', 'sum', 'max'.
    config.aggregate = 'mean'
    # Divide each kernel's importance by its mean, so that groups compare.
    config.normalise = True
    # Count a channel by its kernel with batch normalisation folded in, times the weights that read
    # it: the published MODNet's backbone comes folded, where plain norms mislead.
    config.scale_invariant = True
    # Of method 'random'.
    config.seed = 0

    return config
