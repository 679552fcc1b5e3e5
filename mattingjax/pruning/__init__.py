"""Structured pruning: channels are removed, and what is left is a network like any other.

    groups = channel_groups(config)                          # channels that belong together
    importance = compute_importance(config, variables)       # how much each channel matters
    widths = select_uniform(groups, 0.5)                     # how many of each group stay
    keep_indices = keep_best(groups, importance, widths)     # which ones stay
    config, variables, report = prune(config, variables, keep_indices)

`plan_pruning` and `prune_checkpoint` do all of this from settings. `prune_and_save` does it from
folder to folder, which is what mattingjax prune calls.
"""

from mattingjax.config.pruning import PruneOptions, merge_settings
from mattingjax.networks.channel_groups import ChannelGroup, TensorSlice
from mattingjax.pruning.cost import Cost, cost_model
from mattingjax.pruning.gradients import compute_gradients
from mattingjax.pruning.groups import channel_groups, fixed_convolutions
from mattingjax.pruning.importance import compute_importance
from mattingjax.pruning.photos import choose_photos, load_batches, load_pairs
from mattingjax.pruning.plan import (
    PrunePlan,
    plan_pruning,
    prune_checkpoint,
    restore_checkpoint,
)
from mattingjax.pruning.recalibration import recalibrate, restore_batch_norm
from mattingjax.pruning.report import PruneReport, draw_widths, format_report
from mattingjax.pruning.run import prune_and_save
from mattingjax.pruning.selection import (
    Budget,
    Limits,
    keep_best,
    search_widths,
    select_global,
    select_uniform,
)
from mattingjax.pruning.surgery import prune, silence, slice_tree, with_widths
from mattingjax.pruning.widening import widen, widen_and_save

__all__ = [
    'Budget',
    'ChannelGroup',
    'Cost',
    'Limits',
    'PruneOptions',
    'PrunePlan',
    'PruneReport',
    'TensorSlice',
    'channel_groups',
    'choose_photos',
    'compute_gradients',
    'compute_importance',
    'cost_model',
    'draw_widths',
    'fixed_convolutions',
    'format_report',
    'keep_best',
    'load_batches',
    'load_pairs',
    'merge_settings',
    'plan_pruning',
    'prune',
    'prune_and_save',
    'prune_checkpoint',
    'recalibrate',
    'restore_batch_norm',
    'restore_checkpoint',
    'search_widths',
    'select_global',
    'select_uniform',
    'silence',
    'slice_tree',
    'widen',
    'widen_and_save',
    'with_widths',
]
