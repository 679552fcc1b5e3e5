"""MMNet as the original trains it: Adam 1e-4, batch 32, 256x256, its five losses and augmentations.

python scripts/train.py --config configs/mmnet.py --workdir runs/mmnet --config.dataset.root=DIR

DIR holds train/image, train/mask, test/image and test/mask.
"""

from ml_collections import ConfigDict

from mattingjax.config import train_config


def get_config() -> ConfigDict:
    # Every default is the original's, but for the number of steps, which it leaves open.
    config = train_config('mmnet')
    config.steps = 200_000
    return config
