"""MODNet as published: SGD 0.01 with momentum 0.9, a tenth after each quarter, batch 16, 40 epochs.

mattingjax train --config configs/modnet.py --workdir runs/modnet --config.dataset.root=DIR

Not run to its end here: at two seconds a photo on two cores it would take more than a week. The
losses are compared with the original program's in tests/networks.

DIR holds train/fg, train/alpha, val/fg and val/alpha, as PPM-100 does. Other layouts:
--config.dataset.kind. Steps are counted in batches: 40 epochs of 10,000 photos are 25,000;
--config.epochs=40 counts them for any number of photos.
"""

from ml_collections import ConfigDict

from mattingjax.config import train_config


def get_config() -> ConfigDict:
    config = train_config('modnet')
    config.steps = 25_000
    config.batch_size = 16

    config.dataset.kind = 'ppm100'

    config.optimizer.name = 'sgd'
    config.optimizer.learning_rate = 0.01
    config.optimizer.momentum = 0.9
    config.optimizer.schedule = 'step'
    config.optimizer.decays = 3
    config.optimizer.decay_factor = 0.1
    return config
