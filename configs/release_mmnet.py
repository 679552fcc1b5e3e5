"""Trains the MMNet that ships, on labels of mattingjax label and drawn portraits, in five stages.

mattingjax train --config configs/release_mmnet.py:128 --workdir runs/mmnet_128 \
    --config.dataset.root=LABELS/labels.csv --config.more_datasets.unlabelled.root=MORE/labels.csv \
    --config.data.backgrounds=BACKGROUNDS --config.validation.root=DIR
mattingjax train --config configs/release_mmnet.py:256 --workdir runs/mmnet_256 \
    --config.model.checkpoint=runs/mmnet_128/last ... and the same settings

and then :portraits_128 and :portraits_256, each from the one before, on mostly heads and shoulders,
with more drawn portraits, some of them in vests. At 128 pixels a step costs a quarter; at 256 a
step teaches most.
Drawn portraits need not be drawn anew in each step: scripts/draw_portraits.py, then
--config.more_datasets.synthetic.kind=rgba --config.more_datasets.synthetic.root=DRAWN/cutout.

The last, :people, learns from the parts of a pack (scripts/pack.py), with a Laplacian loss:

mattingjax train --config configs/release_mmnet.py:people --workdir runs/mmnet_people \
    --config.model.checkpoint=CHECKPOINT --config.data.backgrounds=PACK/backgrounds \
    --config.dataset.root=PACK/ccp --config.more_datasets.unlabelled.root=PACK/unlabelled \
    --config.more_datasets.drawn.root=PACK/drawn --config.more_datasets.people.root=PACK/people \
    --config.more_datasets.portraits.root=PACK/portraits --config.validation.root=DIR

Then :widths, on the same parts, retrains networks of other widths that were made of it: mmnet_0.75,
which mattingjax prune made and which ships (its card has the commands), and MMNet 1.4:

python scripts/widen.py --checkpoint mmnet --output MMNET_14 --widths WIDTHS
mattingjax train --config configs/release_mmnet.py:widths --workdir runs/mmnet_14 \
    --config.model.checkpoint=MMNET_14 --config.seed=312 --config.steps=450 \
    --config.optimizer.learning_rate=1e-3 --config.optimizer.warmup_steps=30 ... and the same parts

WIDTHS are those of create_published_config('mmnet', 1.4), as NAME=WIDTH for each group of
pruning.channel_groups. After so few steps it is no better than mmnet, which it was at first, and
does not ship: at 320 pixels the gradient error in thousandths is 5.14 on composites and 5.32 on
street photos with a temperature of 0.6, that of the mean of one part of it and three of MMNET_14
4.89 and 5.19, mmnet's 4.89 and 5.18.

The teacher ran once, in mattingjax label, and not in every step, where it would take most of the
time on a CPU. --config.model.width_multiplier=0.5 begins a narrow network anew; mmnet_0.5, which
ships, was pruned from the wide one (its card has the commands).

`mmnet` had other runs before and between these and longer ones. Three of :people came last, the
third of 3,300 steps; the second and the third were averaged with what went into them and made more
decided (scripts/average.py, scripts/temperature.py). Of the last scripts/benchmark_weights.py
prints a mean absolute difference of 1.73 hundredths on composites of head shots and 1.78 on street
photos at 256 pixels, and 1.55 and 1.45 at 320, where it is used;
mattingjax/weights/mmnet/README.md tells of all runs.
"""

from ml_collections import ConfigDict

from mattingjax.config import dataset_config, train_config

PORTRAITS = {
    'data.close_ups': 0.75,
    'data.close_up_scale': (0.22, 0.5),
    'data.recomposition': 0.6,
    'more_datasets.synthetic.weight': 0.25,
}
# Each stage has a seed of its own: with the same one it would begin with the photos of another.
STAGES = {
    '128': {
        'seed': 1,
        'steps': 6_000,
        'model.input_size': 128,
        'optimizer.learning_rate': 3e-3,
        'optimizer.warmup_steps': 100,
        'optimizer.ema_decay': 0.998,
    },
    '256': {
        'seed': 2,
        'steps': 1_000,
        'model.input_size': 256,
        'optimizer.learning_rate': 1e-3,
        'optimizer.warmup_steps': 20,
        'optimizer.ema_decay': 0.99,
    },
}
STAGES['portraits_128'] = STAGES['128'] | {
    'seed': 12,
    'steps': 7_000,
    'optimizer.learning_rate': 4e-3,
    **PORTRAITS,
}
STAGES['portraits_256'] = STAGES['256'] | {
    'seed': 13,
    'optimizer.learning_rate': 2e-3,
    **PORTRAITS,
}
STAGES['people'] = STAGES['256'] | {
    'seed': 301,
    'steps': 1_236,
    'optimizer.name': 'adam',
    'optimizer.learning_rate': 2e-3,
    'optimizer.warmup_steps': 50,
    'optimizer.ema_decay': 0.998,
    'data.close_up_scale': (0.22, 0.5),
    'loss.laplacian': 1.0,
}
# Narrower and wider networks, made of the trained one, on the same parts in smaller batches.
STAGES['widths'] = STAGES['people'] | {
    'seed': 311,
    'batch_size': 4,
    'steps': 1_600,
    'optimizer.warmup_steps': 60,
}
# How often photos are drawn of the parts of the pack that the last stage learns from.
CCP = 0.7
PARTS = {'unlabelled': 0.4, 'drawn': 0.5, 'portraits': 0.6, 'people': 0.9}


def get_config(stage: str = '128') -> ConfigDict:
    if stage not in STAGES:
        raise ValueError(f'expected one of {", ".join(STAGES)}, got {stage!r}')
    config = train_config('mmnet')
    config.batch_size = 8

    if stage in ('people', 'widths'):
        config.dataset.kind, config.dataset.weight = 'packed', CCP
        for name, weight in PARTS.items():
            config.more_datasets[name] = dataset_config('packed')
            config.more_datasets[name].weight = weight
    else:
        config.dataset.kind = 'csv'
        config.more_datasets.unlabelled = dataset_config('csv')
        config.more_datasets.unlabelled.weight = 0.6
        config.more_datasets.synthetic = dataset_config('synthetic')
        config.more_datasets.synthetic.weight = 0.12
        config.more_datasets.synthetic.count = 4000
    config.data.transform = 'strong'
    config.data.close_ups = 0.5

    config.optimizer.schedule = 'cosine'
    config.optimizer.clip_norm = 1.0
    config.update_from_flattened_dict(STAGES[stage])
    if 'synthetic' in config.more_datasets:
        config.more_datasets.synthetic.size = max(192, config.model.input_size)
    return config
