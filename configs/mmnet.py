"""MMNet as the original trains it: Adam 1e-4, batch 32, 256x256, its five losses and augmentations.

mattingjax train --config configs/mmnet.py --workdir runs/mmnet --config.dataset.root=DIR

Not run to its end here: at 11 photos a second on two cores it would take a week, and the original's
dataset was not at hand. The losses are compared with the original program's in tests/networks.

DIR holds train/image, train/mask, test/image and test/mask. The original program divides the image
by 255 twice in one of its losses: --config.loss.divide_twice=True.
"""

from ml_collections import ConfigDict

from mattingjax.config import train_config


def get_config() -> ConfigDict:
    # Every default is the original's, except the number of steps, which it does not give.
    config = train_config('mmnet')
    config.steps = 200_000
    return config
