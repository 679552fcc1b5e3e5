"""Trains the MMNet that ships, on labels of scripts/label.py and a few synthetic portraits.

python scripts/train.py --config configs/release_mmnet.py:128 --workdir runs/mmnet_128 \
    --config.dataset.root=LABELS/labels.csv --config.more_datasets.unlabelled.root=MORE/labels.csv \
    --config.data.backgrounds=BACKGROUNDS --config.validation.root=DIR
python scripts/train.py --config configs/release_mmnet.py:256 --workdir runs/mmnet_256 \
    --config.model.checkpoint=runs/mmnet_128/last ... and the same settings

First at 128 pixels, where a step costs a quarter; then at 256, where it is used. The teacher was
asked once, by scripts/label.py, and not in every step: on a CPU that is most of the time.
--config.model.width_multiplier=0.5 begins a narrow one anew; mmnet_0.5, which ships, was pruned
from the wide one (its card has the commands).

Of `mmnet`, which had other runs before and after these,
scripts/benchmark_weights.py prints a mean absolute difference of 4.51 hundredths on composites of
head shots and 4.06 on street photos;
mattingjax/weights/mmnet/README.md tells of all runs, and that it wants far more training.
"""

from ml_collections import ConfigDict

from mattingjax.config import dataset_config, train_config


def get_config(size: str = '128') -> ConfigDict:
    if size not in ('128', '256'):
        raise ValueError(f'expected 128 or 256, got {size!r}')
    config = train_config('mmnet')
    config.seed = 1 if size == '128' else 2  # other photos first
    config.steps = 6_000 if size == '128' else 1_000
    config.batch_size = 8
    config.model.input_size = int(size)

    config.dataset.kind = 'csv'
    config.more_datasets.unlabelled = dataset_config('csv')
    config.more_datasets.unlabelled.weight = 0.6
    config.more_datasets.synthetic = dataset_config('synthetic')
    config.more_datasets.synthetic.weight = 0.12
    config.more_datasets.synthetic.count = 4000
    config.more_datasets.synthetic.size = 192 if size == '128' else 256
    config.data.transform = 'strong'
    config.data.close_ups = 0.5
    config.validation.kind = 'mmnet'

    config.optimizer.learning_rate = 3e-3 if size == '128' else 1e-3
    config.optimizer.schedule = 'cosine'
    config.optimizer.warmup_steps = 100 if size == '128' else 20
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.998 if size == '128' else 0.99
    return config
