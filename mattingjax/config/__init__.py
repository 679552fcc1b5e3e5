"""The settings of experiments, with their defaults; the files in configs/ change some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mattingjax.process.lazy import load_on_demand

if TYPE_CHECKING:
    from mattingjax.config.experiment import HELD_OUT, dataset_config, train_config
    from mattingjax.config.pruning import prune_config

__all__ = ['HELD_OUT', 'dataset_config', 'prune_config', 'train_config']

# Matting reads schemas alone: whatever needs ml_collections is imported when it is asked for.
__getattr__ = load_on_demand(
    __name__,
    {
        'HELD_OUT': 'mattingjax.config.experiment',
        'dataset_config': 'mattingjax.config.experiment',
        'prune_config': 'mattingjax.config.pruning',
        'train_config': 'mattingjax.config.experiment',
    },
)
