"""The settings of experiments, with their defaults; the files in configs/ change some of them."""

from __future__ import annotations

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from mattingjax.config.pruning import PruneOptions, prune_config

__all__ = ['HELD_OUT', 'dataset_config', 'prune_config', 'train_config']

HELD_OUT = 'held_out'  # the value of `validation.kind` for a part of the dataset


def dataset_config(kind: str = 'synthetic') -> ConfigDict:
    """Makes the settings of one dataset; `data.datasets.open_dataset` describes its kinds."""
    config = ConfigDict()
    # 'mmnet' and 'ppm100' (the originals' layouts), 'folders', 'rgba' (cut-outs), 'csv',
    # 'unlabelled', 'packed', 'synthetic'.
    config.kind = kind
    # The folder of the dataset, or its CSV file; for 'packed' the folder of the part, PACK/PART.
    config.root = ''
    # For 'mmnet' and 'ppm100': the folder of the split in root.
    config.split = 'train'
    # For 'folders': the folders of the images and of the alphas, relative to root.
    config.images = 'image'
    config.alphas = 'alpha'
    # Leave out images without an alpha and alphas without an image, instead of raising an error.
    config.allow_unmatched = False
    # What the values in alphas mean: 'grey' (from black to white), 'grey:100' (from 0 to 100),
    # 'labels:15' (label maps, in which 15 is the person), or 'auto' (the values themselves tell, or
    # the alpha is refused).
    config.alpha_values = 'auto'
    # For 'synthetic': the number of portraits, their side in pixels, and their random seed.
    config.count = 1000
    config.size = 512
    config.seed = 0
    # How often its photos are drawn, compared with those of the other datasets.
    config.weight = 1.0
    return config


def train_config(network: str | None = None) -> ConfigDict:
    """Makes the settings of a training; the defaults train MMNet as the original does.

    Some settings are unset, which is None: they depend on the network that is trained and on the
    dataset, and `training.settings.complete_settings` sets them.

    Args:
      network: The name of the network, such as 'mmnet' or 'modnet'; a checkpoint of another one is
        refused. None takes the network of `model.checkpoint`, or MMNet if there is no checkpoint.
    """
    config = ConfigDict()
    # The random seed of the first variables, the order of the data, augmentation and dropout.
    config.seed = 0
    # The number of steps of the whole training; a step takes one batch.
    config.steps = 100_000
    # The number of epochs, which wins over steps if it is not 0.
    config.epochs = 0.0
    # The number of photos in a batch, over all devices.
    config.batch_size = 32
    # Arithmetic of the layers, the teacher's too: 'float32' or 'bfloat16', for accelerators that
    # compute it faster. Parameters, statistics, outputs and losses are float32 always.
    config.dtype = 'float32'

    # Which network is trained, and what it starts from.
    config.model = _model_config(network)
    # The photos to train on, and further datasets by name, each made by `dataset_config`.
    config.dataset = dataset_config('mmnet')
    config.more_datasets = ConfigDict()
    # How batches are made of the photos.
    config.data = _data_config()
    # The photos to validate on. If root is empty, root, images, alphas, allow_unmatched and
    # alpha_values are those of the dataset, unless they are set here.
    config.validation = _validation_config()
    config.optimizer = _optimizer_config()
    config.loss = _loss_config()
    # Gradual pruning during the training.
    config.pruning = _pruning_config()

    # States to resume from: the number of steps between two of them, and how many are kept.
    config.save_every_steps = 500
    config.keep = 3
    # The number of steps between two points in TensorBoard, and whether it is written at all.
    # metrics.csv has every step.
    config.log_every_steps = 10
    config.tensorboard = True
    return config


def _model_config(network: str | None) -> ConfigDict:
    """Makes the settings of the network that is trained."""
    config = ConfigDict()
    # The network's name, such as 'mmnet' or 'modnet'. Unset: the network of the checkpoint.
    config.network = placeholder(str)
    if network is not None:
        config.network = network
    # The width multiplier: for MMNet such as 0.5, 0.75, 1.0 or 1.4, for
    # DeepLab 0.35, 0.5, 0.75 or 1.0; for MODNet at most 1.0.
    config.width_multiplier = 1.0
    # The share of values that are dropped at random (in MMNet after each encoder block).
    config.dropout = 0.0
    # The side of the input in pixels; 0: the checkpoint's, or without one the network's own, 256
    # for MMNet and 512 for MODNet.
    config.input_size = 0
    # A checkpoint to start from; it decides the widths. Empty: random variables.
    config.checkpoint = ''
    # With a checkpoint: take only its widths and the parameters that are frozen, and draw the other
    # variables at random.
    config.from_scratch = False
    # Patterns of the paths of parameters that are frozen, which means not trained, such as
    # 'backbone/*' or '*/bn/*'. Frozen batch normalisation uses its running statistics.
    config.freeze = ()
    return config


def _data_config() -> ConfigDict:
    """Makes the settings of how batches are made of photos."""
    config = ConfigDict()
    # How photos are varied: 'mmnet', 'modnet', 'strong' or 'evaluation' (not at all). Unset: as
    # the network's original does.
    config.transform = placeholder(str)
    # With 'strong': keep the photos' proportions, as MODNet sees them, instead of squeezing them to
    # a square, as MMNet does. Unset: as the network does.
    config.keep_aspect = placeholder(bool)
    # With 'strong': the probability that a photo of a whole person is cropped to a close-up.
    config.close_ups = 0.0
    # The range of the share of the person's height that a close-up keeps; head and shoulders are
    # about a quarter.
    config.close_up_scale = (0.2, 0.7)
    # The folder of backgrounds for cut-outs and for recomposition, or a part of a pack.
    config.backgrounds = ''
    # The probability that a photo gets a new background, if that folder is set.
    config.recomposition = 0.5
    # The number of processes that prepare photos; 0: the training's own process does.
    config.workers = 0
    # Photos that cannot be read: 'skip' (counted and replaced by others) or 'raise'.
    config.on_error = 'skip'
    # Write data.json with the SHA-256 of every file, and compare it before a training goes on.
    config.manifest = True
    # Keep all photos and backgrounds on the device, and vary them there, inside of the step: for
    # accelerators that the processor cannot feed, and data that fits into their memory.
    config.on_device = False
    # With on_device: the shorter side in pixels to which larger photos are reduced. Close-ups need
    # more than the network's input.
    config.side = 384
    # With on_device: the number of steps that are computed by one call, without coming back to
    # Python between them. A training stops after such a round. 1 is best on a CPU.
    config.steps_per_dispatch = 1
    return config


def _validation_config() -> ConfigDict:
    """Makes the settings of the photos to validate on, which include those of any dataset."""
    config = dataset_config()
    # A kind of dataset, or 'held_out': a tenth of the dataset, at most `photos`, which is then not
    # trained on (for synthetic portraits, others are drawn). Unset and with a root: the layout that
    # is found there, or else the dataset's kind. Unset and without a root: the dataset's kind if it
    # has splits, else 'held_out'.
    config.kind = placeholder(str)
    # Unset: 'val' for 'ppm100', else 'test'.
    config.split = placeholder(str)
    # The largest number of photos, which are chosen evenly, and the steps between two validations.
    config.photos = 200
    config.every_steps = 500
    # The figure by which the best network is chosen: 'mad', 'mse', 'mean_gradient' or 'mad_soft'
    # (in the soft band: hair), which `evaluation.metrics` defines.
    config.best = 'mad'
    return config


def _optimizer_config() -> ConfigDict:
    """Makes the settings of the optimizer and of the learning rate."""
    config = ConfigDict()
    # 'adam', 'adamw' or 'sgd'.
    config.name = 'adam'
    config.learning_rate = 1e-4
    # 'constant', 'step' (times decay_factor at `decays` equal distances) or 'cosine' (to 0).
    config.schedule = 'constant'
    config.decays = 3
    config.decay_factor = 0.1
    # The number of updates in which the learning rate rises linearly from 0.
    config.warmup_steps = 0
    # The decays of the moment estimates of 'adam' and 'adamw'.
    config.b1 = 0.9
    config.b2 = 0.999
    # For 'sgd'.
    config.momentum = 0.9
    # For 'adamw'.
    config.weight_decay = 0.0
    # The largest norm of the gradient, which is clipped to it; 0: any.
    config.clip_norm = 0.0
    # The number of batches whose gradients are averaged for one update.
    config.accumulate_steps = 1
    # The decay of moving averages of the parameters, which are then validated and kept; 0: none.
    config.ema_decay = 0.0
    return config


def _loss_config() -> ConfigDict:
    """Makes the settings of the loss that is minimised."""
    config = ConfigDict()
    # The weights of the network's own loss, of the distance to a teacher, and of MODNet's
    # sub-objectives consistency (photos without labels).
    config.supervised = 1.0
    config.distillation = 0.0
    config.soc = 0.0
    # The weight of the Laplacian pyramid of the alpha's error, which draws hair sharply. It comes
    # beside the network's own loss and needs labels too.
    config.laplacian = 0.0
    # The factor of half the sum of squares of the kernels of convolutions that are not depthwise,
    # which is weight decay. Unset: 4e-7 for MMNet, 0 for MODNet.
    config.l2 = placeholder(float)
    # Whether MMNet's composition loss is 1/255 of the paper's, as in the original program.
    config.divide_twice = False
    # The checkpoint of the teacher, and the paths of layers whose attention maps are compared, such
    # as 'lr_branch/conv_lr8x'.
    config.teacher = ''
    config.features = ()
    return config


def _pruning_config() -> ConfigDict:
    """Makes the settings of gradual pruning during a training."""
    config = ConfigDict()
    # The share of each group's channels that is removed in the end, in [0, 1); 0 prunes nothing.
    config.ratio = 0.0
    # Channels are removed between begin_step and end_step, every every_steps steps, by a 'cubic'
    # schedule (most at first) or a 'linear' one. The last cut follows end_step, which must be below
    # the training's steps so that the network recovers.
    config.schedule = 'cubic'
    config.begin_step = 0
    config.end_step = 10_000
    config.every_steps = 1_000
    # As in `PruneOptions`, but without the method 'taylor', which needs gradients of its own.
    config.method = PruneOptions.method
    config.round_to = PruneOptions.round_to
    config.min_channels = PruneOptions.min_channels
    return config
