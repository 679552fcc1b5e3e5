"""Trains the MODNet-P that ships: a pruned MODNet, on labels of scripts/label.py.

python scripts/train.py --config configs/release_modnet.py --workdir runs/modnet_256 \
    --config.model.checkpoint=MODNET_P --config.dataset.root=LABELS/labels.csv \
    --config.more_datasets.unlabelled.root=MORE/labels.csv --config.data.backgrounds=BACKGROUNDS \
    --config.validation.root=DIR
python scripts/train.py --config configs/release_modnet.py:384 --workdir runs/modnet_384 \
    --config.model.checkpoint=runs/modnet_256/last ... and the same settings

MODNET_P is what configs/prune_modnet.py:weighed leaves of the published weights. First at 256
pixels, where a step costs a quarter; then at 384, with a falling learning rate, where it is used.
The dense network, which is the teacher, was asked once, by scripts/label.py, and not in every step.
--config.model.from_scratch=True takes the widths alone.

Of the result, scripts/benchmark_weights.py prints a mean absolute difference of 2.26 hundredths on
composites of head shots and 2.08 on street photos (the published network: 0.87 and 1.22).
"""

from ml_collections import ConfigDict

from mattingjax.config import dataset_config, train_config


def get_config(size: str = '256') -> ConfigDict:
    if size not in ('256', '384'):
        raise ValueError(f'expected 256 or 384, got {size!r}')
    config = train_config('modnet')
    config.steps = 1_762 if size == '256' else 150
    config.batch_size = 8
    config.model.input_size = int(size)

    config.dataset.kind = 'csv'
    config.more_datasets.unlabelled = dataset_config('csv')
    config.more_datasets.unlabelled.weight = 0.6
    config.more_datasets.synthetic = dataset_config('synthetic')
    config.more_datasets.synthetic.weight = 0.15
    config.more_datasets.synthetic.count = 4000
    config.more_datasets.synthetic.size = int(size)
    config.data.transform = 'strong'
    config.data.close_ups = 0.5
    config.validation.kind = 'mmnet'

    config.optimizer.name = 'adam'
    config.optimizer.learning_rate = 1e-3 if size == '256' else 5e-4
    config.optimizer.schedule = 'constant' if size == '256' else 'cosine'
    config.optimizer.warmup_steps = 100 if size == '256' else 10
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.995 if size == '256' else 0.98
    return config
