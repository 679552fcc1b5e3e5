"""Prunes the published MODNet to the size of MODNet-P (1.34 M parameters, 4.4 G MACs at 512).

python scripts/prune.py --checkpoint MODNET --output MODNET_P --config configs/prune_modnet.py

For the published weights it prints 1,326,035 parameters and 4.392 G MACs (all heads). Add
--recalibrate PHOTOS for those weights: their normalisation is folded in, which hides what matters.
What is left must be retrained: so much at once leaves no matte.
"""

from ml_collections import ConfigDict

from mattingjax.config import prune_config


def get_config() -> ConfigDict:
    config = prune_config()
    config.target_params = '1.34M'
    config.target_macs = '4.4G'
    return config
