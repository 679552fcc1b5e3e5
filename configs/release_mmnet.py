"""Trains an MMNet on labels of scripts/label.py and synthetic portraits.

python scripts/train.py --config configs/release_mmnet.py --workdir runs/mmnet_160 \
    --config.dataset.root=LABELS/labels.csv --config.more_datasets.unlabelled.root=MORE/labels.csv \
    --config.data.backgrounds=BACKGROUNDS --config.validation.root=DIR
python scripts/train.py --config configs/release_mmnet.py:256 --workdir runs/mmnet_256 \
    --config.model.checkpoint=runs/mmnet_160/last ... and the same settings

First at 160 pixels, where a step costs a third; then at 256, with a falling learning rate. The
teacher was asked once, by scripts/label.py, and not in every step: on a CPU that is most of the
time. --config.model.width_multiplier=0.5 makes the narrow one.

Not run to its end here: 922 steps of the first stage, at 128 pixels, bring a mean absolute
difference of 0.0747 on street photos.
"""

from ml_collections import ConfigDict

from mattingjax.config import dataset_config, train_config


def get_config(size: str = '160') -> ConfigDict:
    if size not in ('160', '256'):
        raise ValueError(f'expected 160 or 256, got {size!r}')
    config = train_config('mmnet')
    config.steps = 10_000 if size == '160' else 5_000
    config.batch_size = 16
    config.model.input_size = int(size)

    config.dataset.kind = 'csv'
    config.more_datasets.unlabelled = dataset_config('csv')
    config.more_datasets.unlabelled.weight = 0.6
    config.more_datasets.synthetic = dataset_config('synthetic')
    config.more_datasets.synthetic.weight = 0.3
    config.more_datasets.synthetic.count = 4000
    config.more_datasets.synthetic.size = 256
    config.data.transform = 'strong'
    config.data.close_ups = 0.5
    config.validation.kind = 'mmnet'

    config.optimizer.learning_rate = 3e-3 if size == '160' else 1e-3
    config.optimizer.schedule = 'constant' if size == '160' else 'cosine'
    config.optimizer.warmup_steps = 200
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.998
    return config
