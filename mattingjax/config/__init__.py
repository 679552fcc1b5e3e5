"""The settings of experiments, with their defaults; the files in configs/ change some of them."""

from __future__ import annotations

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from mattingjax.config.pruning import PruneOptions, prune_config

__all__ = ['HELD_OUT', 'dataset_config', 'prune_config', 'train_config']

HELD_OUT = 'held_out'  # of `validation.kind`: a part of the dataset


def dataset_config(kind: str = 'synthetic') -> ConfigDict:
    """Settings of one dataset; `data.datasets.open_dataset` says what kinds there are."""
    config = ConfigDict()
    # 'mmnet' and 'ppm100' (the originals' layouts), 'folders', 'rgba' (cut-outs), 'csv',
    # 'unlabelled', 'synthetic'.
    config.kind = kind
    # The folder, or the CSV file.
    config.root = ''
    # For 'mmnet' and 'ppm100': the folder in it.
    config.split = 'train'
    # For 'folders': those of the images and of the alphas, relative to root.
    config.images = 'image'
    config.alphas = 'alpha'
    # Leave out images without an alpha, and the reverse, instead of stopping.
    config.allow_unmatched = False
    # What the numbers in alphas mean: 'auto' (they tell it, or are refused), 'grey' (from black to
    # white), 'grey:100' (to 100), or of label maps 'labels:15' (15 is the person).
    config.alpha_values = 'auto'
    # For 'synthetic': how many portraits, pixels of a side, and which ones.
    config.count = 1000
    config.size = 512
    config.seed = 0
    # How often its photos come compared with those of the other datasets.
    config.weight = 1.0
    return config


def train_config(network: str | None = None) -> ConfigDict:
    """Settings of a training; what is set here is MMNet as the original trains it.

    Some are left unset, with None for a value: they follow the network that is trained and the
    dataset, and `training.settings.complete_settings` fills them in.

    Args:
      network: The name of the network, such as 'mmnet' or 'modnet'; a checkpoint of another one is
        refused. None takes the network of `model.checkpoint`, and without one MMNet.
    """
    config = ConfigDict()
    # The random seed of the first variables, the order of the data, augmentation and dropout.
    config.seed = 0
    # Steps of the whole training; a step is one batch.
    config.steps = 100_000
    # Instead of steps: how often all photos come; 0: steps count.
    config.epochs = 0.0
    # Photos in a batch, over all devices.
    config.batch_size = 32
    # Arithmetic of the layers: 'float32' or 'bfloat16'; parameters and losses are float32 always.
    config.dtype = 'float32'

    config.model = ConfigDict()
    # The network's name, such as 'mmnet' or 'modnet'. Unset: the checkpoint's.
    config.model.network = placeholder(str)
    if network is not None:
        config.model.network = network
    # Width multiplier: for MMNet such as 0.5, 0.75, 1.0, 1.4; for MODNet 1.0, or less.
    config.model.width_multiplier = 1.0
    # Share of values that are dropped at random (MMNet: after each encoder block).
    config.model.dropout = 0.0
    # Pixels of a side; 0: the network's own, such as 256 for MMNet and 512 for MODNet.
    config.model.input_size = 0
    # A checkpoint to start from; it decides the widths. Empty: random variables.
    config.model.checkpoint = ''
    # With a checkpoint: take its widths only, and draw the variables anew, but for those that stay
    # as they are.
    config.model.from_scratch = False
    # Parameters that stay as they are: patterns of paths, such as 'backbone/*' or '*/bn/*'. Frozen
    # batch normalisation uses its running statistics.
    config.model.freeze = ()

    # The photos to train on, and others beside them: {'name': dataset_config(...)}.
    config.dataset = dataset_config('mmnet')
    config.more_datasets = ConfigDict()
    config.data = ConfigDict()
    # How photos are varied: 'mmnet', 'modnet', 'strong' or 'evaluation' (not at all). Unset: as
    # the network's original does.
    config.data.transform = placeholder(str)
    # With 'strong': keep the photos' proportions, as MODNet sees them, instead of squeezing them to
    # a square, as MMNet does. Unset: as the network does.
    config.data.keep_aspect = placeholder(bool)
    # With 'strong': probability that a photo of a whole person becomes one of the head and some
    # more.
    config.data.close_ups = 0.0
    # Range of what is left then, as a share of the person's height; head and shoulders have about
    # a quarter of it.
    config.data.close_up_scale = (0.2, 0.7)
    # Folder of backgrounds for cut-outs and for re-composition.
    config.data.backgrounds = ''
    # Probability that a photo gets a new background, where there is that folder.
    config.data.recomposition = 0.5
    # Processes that prepare photos; 0: the training's own.
    config.data.workers = 0
    # Photos that cannot be read: 'skip' (counted and replaced by others) or 'raise'.
    config.data.on_error = 'skip'
    # Write data.json with the SHA-256 of every file, and compare it before a training goes on.
    config.data.manifest = True

    # Photos to validate on. An empty root is the dataset's own, and so is then what else says where
    # its files lie and what alphas mean, unless it is set here.
    config.validation = dataset_config()
    # One of the dataset's kinds, or 'held_out': a tenth of the dataset, at most `photos`, which is
    # then not trained on (of synthetic portraits others of the same kind). Unset: where root is
    # set, what lies there, else the dataset's kind. Without a root it is the dataset's kind if that
    # has splits, else 'held_out'.
    config.validation.kind = placeholder(str)
    # Unset: 'val' for 'ppm100', else 'test'.
    config.validation.split = placeholder(str)
    # How many of them, evenly chosen; every how many steps.
    config.validation.photos = 200
    config.validation.every_steps = 500
    # Which figure decides what is best: 'mad', 'mse' or 'mean_gradient'; see `metrics`.
    config.validation.best = 'mad'

    config.optimizer = ConfigDict()
    # 'adam', 'adamw' or 'sgd'.
    config.optimizer.name = 'adam'
    config.optimizer.learning_rate = 1e-4
    # 'constant', 'step' (times decay_factor at `decays` equal distances) or 'cosine' (to 0).
    config.optimizer.schedule = 'constant'
    config.optimizer.decays = 3
    config.optimizer.decay_factor = 0.1
    # Steps in which the learning rate rises from 0.
    config.optimizer.warmup_steps = 0
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    # For 'sgd'.
    config.optimizer.momentum = 0.9
    # For 'adamw'.
    config.optimizer.weight_decay = 0.0
    # Largest norm of the gradients; 0: any.
    config.optimizer.clip_norm = 0.0
    # Batches whose gradients are averaged for one update.
    config.optimizer.accumulate_steps = 1
    # Decay of running averages of the parameters, which are then what is validated and kept; 0:
    # none.
    config.optimizer.ema_decay = 0.0

    config.loss = ConfigDict()
    # Weights of the network's own loss, of the distance to a teacher, and of MODNet's
    # sub-objectives consistency (photos without labels).
    config.loss.supervised = 1.0
    config.loss.distillation = 0.0
    config.loss.soc = 0.0
    # Times half the sum of squares of the convolutions' kernels. Unset: 4e-7 for MMNet, 0 for
    # MODNet.
    config.loss.l2 = placeholder(float)
    # MMNet's composition loss as the original program has it, 1/255 of the paper's.
    config.loss.divide_twice = False
    # The teacher: a checkpoint, and layers whose attention maps are compared
    # ('lr_branch/conv_lr8x').
    config.loss.teacher = ''
    config.loss.features = ()

    # Channels that go in the course of the training.
    config.pruning = ConfigDict()
    # Set to a share in [0, 1) to prune: that much of each group is gone in the end.
    config.pruning.ratio = 0.0
    # 'cubic' (most at first) or 'linear', from one step to the other, every so many steps. The last
    # cut comes after end_step, which is below the training's steps: what is left must recover.
    config.pruning.schedule = 'cubic'
    config.pruning.begin_step = 0
    config.pruning.end_step = 10_000
    config.pruning.every_steps = 1_000
    # As `PruneOptions` tells, but that the method 'taylor' needs photos, which there are not here.
    config.pruning.method = PruneOptions.method
    config.pruning.round_to = PruneOptions.round_to
    config.pruning.min_channels = PruneOptions.min_channels

    # States to resume from: every how many steps, and how many are kept.
    config.save_every_steps = 500
    config.keep = 3
    # Every how many steps TensorBoard gets a point; False: it gets none. metrics.csv has all steps.
    config.log_every_steps = 10
    config.tensorboard = True
    return config
