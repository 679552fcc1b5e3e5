"""Trains the MODNet-P that ships: a pruned MODNet, on labels of mattingjax label, in six stages.

mattingjax train --config configs/release_modnet.py:256 --workdir runs/modnet_256 \
    --config.model.checkpoint=MODNET_P --config.dataset.root=LABELS/labels.csv \
    --config.more_datasets.unlabelled.root=MORE/labels.csv --config.data.backgrounds=BACKGROUNDS \
    --config.validation.root=DIR

and then :384, :320 and :portraits, each from the one before. MODNET_P is what
configs/prune_modnet.py:weighed leaves of the published weights. A step at 256 pixels costs a
quarter of one at 512. Later stages have seeds of their own (with the same one, a stage begins with
the very photos of another) and learning rates that fall to 0; :portraits sees mostly heads and
shoulders, and more drawn portraits, some of them in vests.
The teacher is the dense network; it ran once, in mattingjax label, and not in every step.
--config.model.from_scratch=True takes the widths alone.

The last two, :people and :people_384, learn from the parts of a pack (scripts/pack.py), with a
Laplacian loss:

mattingjax train --config configs/release_modnet.py:people --workdir runs/people \
    --config.model.checkpoint=CHECKPOINT --config.data.backgrounds=PACK/backgrounds \
    --config.dataset.root=PACK/ccp --config.more_datasets.unlabelled.root=PACK/unlabelled \
    --config.more_datasets.drawn.root=PACK/drawn --config.more_datasets.people.root=PACK/people \
    --config.more_datasets.portraits.root=PACK/portraits --config.validation.root=DIR

It starts from the mean of what :320 (one part) and :portraits (three) leave (scripts/average.py).
The mean of three such runs, the second and the third from what the first left, went on to
:people_384; the mean of what went in (two parts) and what came out (one), with a
temperature (scripts/temperature.py), ships. Of it
scripts/benchmark_weights.py prints a mean absolute difference of 0.87 hundredths on composites of
head shots and 1.35 on street photos (the published network at 512: 0.87 and 1.22);
mattingjax/weights/modnet_p/README.md says more.
"""

from ml_collections import ConfigDict

from mattingjax.config import dataset_config, train_config

STAGES = {
    '256': {
        'model.input_size': 256,
        'steps': 1_762,
        'optimizer.learning_rate': 1e-3,
        'optimizer.warmup_steps': 100,
    },
    '384': {
        'model.input_size': 384,
        'steps': 150,
        'optimizer.learning_rate': 5e-4,
        'optimizer.schedule': 'cosine',
        'optimizer.warmup_steps': 10,
        'optimizer.ema_decay': 0.98,
    },
    '320': {
        'model.input_size': 320,
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
STAGES['portraits'] = STAGES['320'] | {
    'steps': 2_300,
    'seed': 22,
    'batch_size': 4,
    'optimizer.learning_rate': 6e-4,
    'optimizer.warmup_steps': 50,
    'optimizer.ema_decay': 0.995,
    'data.close_ups': 0.75,
    'data.close_up_scale': (0.22, 0.5),
    'more_datasets.synthetic.weight': 0.25,
}
STAGES['people'] = {
    'model.input_size': 320,
    'steps': 2_100,
    'seed': 107,
    'batch_size': 4,
    'optimizer.learning_rate': 6e-4,
    'optimizer.schedule': 'cosine',
    'optimizer.warmup_steps': 50,
    'data.close_up_scale': (0.22, 0.5),
    'loss.laplacian': 4.0,
}
STAGES['people_384'] = STAGES['people'] | {
    'model.input_size': 384,
    'steps': 636,
    'seed': 211,
    'optimizer.learning_rate': 4e-4,
    'optimizer.warmup_steps': 26,
    'optimizer.ema_decay': 0.99,
}
# How often photos are drawn of the parts of the pack that the last stages learn from.
CCP = 0.7
PARTS = {'unlabelled': 0.4, 'drawn': 0.5, 'portraits': 0.6, 'people': 0.9}


def get_config(stage: str = '256') -> ConfigDict:
    if stage not in STAGES:
        raise ValueError(f'expected one of {", ".join(STAGES)}, got {stage!r}')
    config = train_config('modnet')
    config.batch_size = 8

    if stage.startswith('people'):
        config.dataset.kind, config.dataset.weight = 'packed', CCP
        for name, weight in PARTS.items():
            config.more_datasets[name] = dataset_config('packed')
            config.more_datasets[name].weight = weight
    else:
        config.dataset.kind = 'csv'
        config.more_datasets.unlabelled = dataset_config('csv')
        config.more_datasets.unlabelled.weight = 0.6
        config.more_datasets.synthetic = dataset_config('synthetic')
        config.more_datasets.synthetic.weight = 0.15
        config.more_datasets.synthetic.count = 4000
        config.more_datasets.synthetic.size = STAGES[stage]['model.input_size']
    config.data.transform = 'strong'
    config.data.close_ups = 0.5

    config.optimizer.name = 'adam'
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.995
    config.update_from_flattened_dict(STAGES[stage])
    return config
