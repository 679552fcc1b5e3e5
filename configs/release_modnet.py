"""Trains the MODNet-P that ships: a pruned MODNet, on labels of scripts/label.py, in three stages.

python scripts/train.py --config configs/release_modnet.py:256 --workdir runs/modnet_256 \
    --config.model.checkpoint=MODNET_P --config.dataset.root=LABELS/labels.csv \
    --config.more_datasets.unlabelled.root=MORE/labels.csv --config.data.backgrounds=BACKGROUNDS \
    --config.validation.root=DIR

and likewise :384 from runs/modnet_256/last, and :320 from runs/modnet_384/last. MODNET_P is what
configs/prune_modnet.py:weighed leaves of the published weights. A step at 256 pixels costs a
quarter of one at 512. The last stage has another seed (with the same one, a stage begins with the
very photos of the one before), more close-ups, and a learning rate that falls to 0.
The dense network, which is the teacher, was asked once, by scripts/label.py, and not in every step.
--config.model.from_scratch=True takes the widths alone.

Of the result, scripts/benchmark_weights.py prints a mean absolute difference of 1.73 hundredths on
composites of head shots and 1.52 on street photos (the published network: 0.87 and 1.22);
mattingjax/weights/modnet_p/README.md says more.
"""

from ml_collections import ConfigDict

from mattingjax.config import dataset_config, train_config

STAGES = {
    '256': {'steps': 1_762, 'optimizer.learning_rate': 1e-3, 'optimizer.warmup_steps': 100},
    '384': {
        'steps': 150,
        'optimizer.learning_rate': 5e-4,
        'optimizer.schedule': 'cosine',
        'optimizer.warmup_steps': 10,
        'optimizer.ema_decay': 0.98,
    },
    '320': {
        'steps': 800,
        'seed': 1,
        'optimizer.learning_rate': 7e-4,
        'optimizer.schedule': 'cosine',
        'optimizer.warmup_steps': 20,
        'optimizer.ema_decay': 0.99,
        'data.close_ups': 0.7,
        'data.recomposition': 0.6,
        'more_datasets.synthetic.weight': 0.05,
    },
}


def get_config(size: str = '256') -> ConfigDict:
    if size not in STAGES:
        raise ValueError(f'expected one of {", ".join(STAGES)}, got {size!r}')
    config = train_config('modnet')
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
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.995
    config.update_from_flattened_dict(STAGES[size])
    return config
