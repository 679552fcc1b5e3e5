"""Mobile DeepLabv3 as MMNet's authors train it: as MMNet, its four losses, dropout in the head.

mattingjax train --config configs/deeplab.py --workdir runs/deeplab --config.dataset.root=DIR

Not run to its end here, as configs/mmnet.py is not. DIR holds train/image, train/mask, test/image
and test/mask. --config.model.width_multiplier=0.5 is the width of the original's script, and
MobileNetV2 is published at 0.35 and 0.75 too; --config.model.network=deeplab_aspp has atrous
branches in the head.

The original's network sees images in [0, 1], here in [-1, 1] as published weights want them, and
its statistics of batch normalisation have a decay of 0.9997, here 0.997, which is TF-Slim's.
"""

from ml_collections import ConfigDict

from mattingjax.config import train_config


def get_config() -> ConfigDict:
    config = train_config('deeplab')
    config.steps = 200_000
    config.model.dropout = 0.1
    return config
