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

    # Which network is trained, and what it starts from.
    config.model = _model_config(network)
    # The photos to train on, and others beside them: {'name': dataset_config(...)}.
    config.dataset = dataset_config('mmnet')
    config.more_datasets = ConfigDict()
    # How batches are made of them.
    config.data = _data_config()
    # Photos to validate on. An empty root is the dataset's own, and so is then what else says where
    # its files lie and what alphas mean, unless it is set here.
    config.validation = _validation_config()
    config.optimizer = _optimizer_config()
    config.loss = _loss_config()
    # Channels that go in the course of the training.
    config.pruning = _pruning_config()

    # States to resume from: every how many steps, and how many are kept.
    config.save_every_steps = 500
    config.keep = 3
    # Every how many steps TensorBoard gets a point; False: it gets none. metrics.csv has all steps.
    config.log_every_steps = 10
    config.tensorboard = True
    return config


def _model_config(network: str | None) -> ConfigDict:
    """Settings of the network that is trained."""
    config = ConfigDict()
    # The network's name, such as 'mmnet' or 'modnet'. Unset: the checkpoint's.
    config.network = placeholder(str)
    if network is not None:
        config.network = network
    # Width multiplier: for MMNet such as 0.5, 0.75, 1.0, 1.4; for MODNet 1.0, or less.
    config.width_multiplier = 1.0
    # Share of values that are dropped at random (MMNet: after each encoder block).
    config.dropout = 0.0
    # Pixels of a side; 0: the network's own, such as 256 for MMNet and 512 for MODNet.
    config.input_size = 0
    # A checkpoint to start from; it decides the widths. Empty: random variables.
    config.checkpoint = ''
    # With a checkpoint: take its widths only, and draw the variables anew, but for those that stay
    # as they are.
    config.from_scratch = False
    # Parameters that stay as they are: patterns of paths, such as 'backbone/*' or '*/bn/*'. Frozen
    # batch normalisation uses its running statistics.
    config.freeze = ()
    return config


def _data_config() -> ConfigDict:
    """Settings of how batches are made of photos."""
    config = ConfigDict()
    # How photos are varied: 'mmnet', 'modnet', 'strong' or 'evaluation' (not at all). Unset: as
    # the network's original does.
    config.transform = placeholder(str)
    # With 'strong': keep the photos' proportions, as MODNet sees them, instead of squeezing them to
    # a square, as MMNet does. Unset: as the network does.
    config.keep_aspect = placeholder(bool)
    # With 'strong': probability that a photo of a whole person becomes one of the head and some
    # more.
    config.close_ups = 0.0
    # Range of what is left then, as a share of the person's height; head and shoulders have about
    # a quarter of it.
    config.close_up_scale = (0.2, 0.7)
    # Folder of backgrounds for cut-outs and for re-composition.
    config.backgrounds = ''
    # Probability that a photo gets a new background, where there is that folder.
    config.recomposition = 0.5
    # Processes that prepare photos; 0: the training's own.
    config.workers = 0
    # Photos that cannot be read: 'skip' (counted and replaced by others) or 'raise'.
    config.on_error = 'skip'
    # Write data.json with the SHA-256 of every file, and compare it before a training goes on.
    config.manifest = True
    return config


def _validation_config() -> ConfigDict:
    """Settings of the photos to validate on, beside those of any dataset."""
    config = dataset_config()
    # One of the dataset's kinds, or 'held_out': a tenth of the dataset, at most `photos`, which is
    # then not trained on (of synthetic portraits others of the same kind). Unset: where root is
    # set, what lies there, else the dataset's kind. Without a root it is the dataset's kind if that
    # has splits, else 'held_out'.
    config.kind = placeholder(str)
    # Unset: 'val' for 'ppm100', else 'test'.
    config.split = placeholder(str)
    # How many of them, evenly chosen; every how many steps.
    config.photos = 200
    config.every_steps = 500
    # Which figure decides what is best: 'mad', 'mse' or 'mean_gradient'; see `metrics`.
    config.best = 'mad'
    return config


def _optimizer_config() -> ConfigDict:
    """Settings of the optimizer and of the learning rate."""
    config = ConfigDict()
    # 'adam', 'adamw' or 'sgd'.
    config.name = 'adam'
    config.learning_rate = 1e-4
    # 'constant', 'step' (times decay_factor at `decays` equal distances) or 'cosine' (to 0).
    config.schedule = 'constant'
    config.decays = 3
    config.decay_factor = 0.1
    # Steps in which the learning rate rises from 0.
    config.warmup_steps = 0
    config.b1 = 0.9
    config.b2 = 0.999
    # For 'sgd'.
    config.momentum = 0.9
    # For 'adamw'.
    config.weight_decay = 0.0
    # Largest norm of the gradients; 0: any.
    config.clip_norm = 0.0
    # Batches whose gradients are averaged for one update.
    config.accumulate_steps = 1
    # Decay of running averages of the parameters, which are then what is validated and kept; 0:
    # none.
    config.ema_decay = 0.0
    return config


def _loss_config() -> ConfigDict:
    """Settings of what is made small."""
    config = ConfigDict()
    # Weights of the network's own loss, of the distance to a teacher, and of MODNet's
    # sub-objectives consistency (photos without labels).
    config.supervised = 1.0
    config.distillation = 0.0
    config.soc = 0.0
    # Times half the sum of squares of the convolutions' kernels. Unset: 4e-7 for MMNet, 0 for
    # MODNet.
    config.l2 = placeholder(float)
    # MMNet's composition loss as the original program has it, 1/255 of the paper's.
    config.divide_twice = False
    # The teacher: a checkpoint, and layers whose attention maps are compared
    # ('lr_branch/conv_lr8x').
    config.teacher = ''
    config.features = ()
    return config


def _pruning_config() -> ConfigDict:
    """Settings of pruning in the course of a training."""
    config = ConfigDict()
    # Set to a share in [0, 1) to prune: that much of each group is gone in the end.
    config.ratio = 0.0
    # 'cubic' (most at first) or 'linear', from one step to the other, every so many steps. The last
    # cut comes after end_step, which is below the training's steps: what is left must recover.
    config.schedule = 'cubic'
    config.begin_step = 0
    config.end_step = 10_000
    config.every_steps = 1_000
    # As `PruneOptions` tells, but that the method 'taylor' needs photos, which there are not here.
    config.method = PruneOptions.method
    config.round_to = PruneOptions.round_to
    config.min_channels = PruneOptions.min_channels
    return config
