"""Trains MMNet on the mattes of a teacher, such as the published MODNet; photos need no labels.

mattingjax train --config configs/distill_mmnet.py --workdir runs/distilled \
    --config.loss.teacher=MODNET --config.dataset.root=PHOTOS --config.validation.root=DIR

Not run to its end here: the teacher takes most of the time on a CPU. configs/release_mmnet.py
asks it once for each photo instead.

The teacher sees each augmented photo at its own size, in every step: nothing is stored, and
whatever the augmentation does, the matte fits. DIR holds test/image and test/mask.
"""

from ml_collections import ConfigDict

from mattingjax.config import train_config


def get_config() -> ConfigDict:
    config = train_config('mmnet')
    config.steps = 50_000
    config.batch_size = 32

    config.dataset.kind = 'unlabelled'
    config.data.transform = 'strong'

    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = 'cosine'
    config.optimizer.warmup_steps = 500
    config.optimizer.ema_decay = 0.999

    config.loss.supervised = 0.0
    config.loss.distillation = 1.0
    return config
