"""Prunes MMNet to half of its multiply-accumulates (MACs).

mattingjax prune --checkpoint MMNET --output MMNET_P --config configs/prune_mmnet.py

At width 1.0 it prints 0.091 M parameters (47.8 %) and 0.161 G MACs (49.6 %).
"""

from ml_collections import ConfigDict

from mattingjax.config import prune_config


def get_config() -> ConfigDict:
    config = prune_config()
    config.target_macs = '0.5x'
    # Most groups of MMNet have only 16 to 64 channels, for which steps of 8 would be coarse.
    config.round_to = 4
    config.min_channels = 4
    return config
