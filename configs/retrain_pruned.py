"""Retrains a pruned MODNet: fine-tuned or from scratch, its backbone frozen or not.

python scripts/train.py --config configs/retrain_pruned.py --workdir runs/retrained \
    --config.model.checkpoint=PRUNED --config.loss.teacher=DENSE --config.dataset.root=DIR

DIR holds train|test/image|mask; --config.dataset.kind names another layout of those that
configs/README.md lists.

Not run to its end here, and the four ways were not compared: on two cores each would take days.

One of four: configs/retrain_pruned.py:finetune (the default), :finetune_frozen, :scratch,
:scratch_frozen. The dense network is the teacher of them all; photos without masks will do with
--config.loss.supervised=0 --config.dataset.kind=unlabelled. A frozen backbone is the checkpoint's,
also from scratch. The original compares backbones pruned and not: for one that is not, prune with
scripts/prune.py --ignore 'backbone.*'.
"""

from ml_collections import ConfigDict

from mattingjax.config import train_config

WAYS = ('finetune', 'finetune_frozen', 'scratch', 'scratch_frozen')


def get_config(way: str = 'finetune') -> ConfigDict:
    if way not in WAYS:
        raise ValueError(f'expected one of {", ".join(WAYS)}, got {way!r}')
    config = train_config('modnet')
    config.steps = 20_000
    config.batch_size = 8

    config.model.from_scratch = way.startswith('scratch')
    config.model.freeze = ('backbone/*',) if way.endswith('frozen') else ()

    config.dataset.kind = 'mmnet'
    config.data.transform = 'strong'

    config.optimizer.name = 'adam'
    config.optimizer.learning_rate = 3e-4 if way.startswith('finetune') else 1e-3
    config.optimizer.schedule = 'cosine'
    config.optimizer.warmup_steps = 200
    config.optimizer.clip_norm = 1.0
    config.optimizer.ema_decay = 0.999

    config.loss.supervised = 0.5
    config.loss.distillation = 1.0
    # Stages of the backbone and of the low-resolution branch: attention maps can be compared though
    # their widths differ from the teacher's.
    config.loss.features = ('backbone/features_6', 'backbone/features_18', 'lr_branch/conv_lr8x')
    return config
