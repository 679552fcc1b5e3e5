"""Retrains a pruned MODNet: fine-tuned or from scratch, its backbone frozen or not.

mattingjax train --config configs/retrain_pruned.py --workdir runs/retrained \
    --config.model.checkpoint=PRUNED --config.loss.teacher=DENSE --config.dataset.root=DIR

DIR holds train|test/image|mask; --config.dataset.kind names another layout of those that
configs/README.md lists.

Not run to its end here: on two cores it would take days. What was compared, in ten minutes each on
one core, are the published weights fine-tuned and random variables, with the backbone pruned and
whole, at equal cost (0.65 T MACs of forward passes). MAD in hundredths by
scripts/benchmark_weights.py on composites of head shots (in their soft band) and on street photos:

                                   fine-tuned             from scratch
  backbone pruned (1.32 M)      2.86 (13.44) | 4.26    41.27 (40.85) | 46.46
  backbone whole (3.72 M)       3.79 (16.17) | 3.99    41.56 (42.30) | 43.32

From scratch nothing is usable after so few steps. With one seed each, what the whole backbone is
worth stays open. The networks are what mattingjax prune --config configs/prune_modnet.py:weighed
--method taylor --recalibrate PHOTOS leaves of the published ones, without and with
--ignore 'backbone.*'. They were trained on the pack of configs/release_modnet.py, whose command
gets what is missing here, and measured is WORKDIR/last:

mattingjax train --config configs/release_modnet.py:people --workdir runs/compared \
    --config.model.checkpoint=PRUNED --config.model.from_scratch=False --config.steps=150 \
    --config.model.input_size=256 --config.seed=401 --config.optimizer.warmup_steps=30 \
    --config.optimizer.ema_decay=0.98

with 112 steps for the whole backbone, and from_scratch=True.

Beside the first one of the table, from one seed each, on the same photos (soft band in brackets):

  one cut, labels alone, 150 steps                       1.9 T MACs   2.86 (13.44) | 4.26 (20.55)
  three cuts, 20, 30 and 50 steps after them             2.0          3.27 (14.83) | 4.77 (23.08)
  a teacher in every step, as below, 68 steps            2.1          4.12 (18.19) | 5.13 (25.48)
  the same, 150 steps                                    4.7          2.91 (13.62) | 3.84 (20.65)

MACs count a training step as three forward passes, 1.9 T being three times the 0.65 T above. The
first two cuts leave of each width the share that the third leaves, to the power 1/3 and 2/3, all by
Taylor importance on the same photos.
The teacher (--config.loss.teacher=DENSE, its input_size 256, --config.loss.distillation=1 and the
features below, beside labels of full weight) was run online: its semantic output and features bring
nothing to composites at equal steps, and cost more than they bring to street photos. At equal cost
one cut, and labels that the teacher made once (which is not counted), are best.

One of four: configs/retrain_pruned.py:finetune (the default), :finetune_frozen, :scratch,
:scratch_frozen. The dense network is the teacher of them all; photos without masks will do with
--config.loss.supervised=0 --config.dataset.kind=unlabelled. A frozen backbone is the checkpoint's,
also from scratch. The original compares backbones pruned and not: for one that is not, prune with
mattingjax prune --ignore 'backbone.*'.
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
