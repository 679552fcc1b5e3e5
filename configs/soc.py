"""Adapts MODNet to photos without labels by sub-objectives consistency, as the original does.

mattingjax train --config configs/soc.py --workdir runs/adapted \
    --config.model.checkpoint=MODNET --config.dataset.root=PHOTOS --config.validation.root=PHOTOS

Not run to its end here: there were no photos that the published network is bad at. Checked are a
step (tests/training/test_steps.py) and the losses against the original program's (tests/networks).

Normalisation stays as it is; a copy of the network keeps the borders from getting worse. last/ is
the result: without labels nothing says which network is best.
"""

from ml_collections import ConfigDict

from mattingjax.config import train_config


def get_config() -> ConfigDict:
    config = train_config('modnet')
    config.steps = 1_000
    config.batch_size = 1

    config.model.freeze = ('*/bn/*',)
    config.dataset.kind = 'unlabelled'
    config.validation.kind = 'unlabelled'
    config.validation.photos = 8

    config.optimizer.learning_rate = 1e-5
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.99

    config.loss.supervised = 0.0
    config.loss.soc = 1.0
    return config
