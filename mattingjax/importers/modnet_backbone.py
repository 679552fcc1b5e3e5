"""Takes the backbone of a MODNet for Mobile DeepLabv3, as a start of a training."""

from __future__ import annotations

import dataclasses

import flax.traverse_util

from mattingjax.checkpoints import Checkpoint
from mattingjax.errors import WeightsError
from mattingjax.networks import MODNetConfig, create_model_config, init_variables
from mattingjax.networks.deeplab import DeepLabConfig

_LAST = 'features_18'  # the 1×1 convolution to 1280 channels, which DeepLab does without


def take_modnet_backbone(checkpoint: Checkpoint, network: str = 'deeplab') -> Checkpoint:
    """Makes a Mobile DeepLabv3 of the backbone of a MODNet, pruned or not; its head is random.

    Both have the same blocks. PyTorch pads a strided convolution on both sides, TensorFlow after
    the last pixel alone, so that this network looks 15 pixels further down and right: where no
    border is near, it computes the features of a photo that is shifted by as many. And it dilates
    where MODNet's backbone strides for the fifth time, so that every second feature is the same.

    Args:
      checkpoint: A MODNet.
      network: 'deeplab', or 'deeplab_aspp'.

    Returns:
      The checkpoint, in memory. In its provenance `ignored` are the variables of the MODNet that
      it does without, and `initialised` those of the head (seed 0).

    Raises:
      WeightsError: The checkpoint is no MODNet, or the network is another.
    """
    published, architecture = create_model_config(network), checkpoint.config.architecture
    if not isinstance(architecture, MODNetConfig) or not isinstance(
        published.architecture, DeepLabConfig
    ):
        where = checkpoint.origin or 'checkpoint'
        found = f'{checkpoint.config.network} for {network}'
        raise WeightsError(f'{where}: expected modnet for deeplab or deeplab_aspp, got {found}')
    backbone = architecture.backbone
    config = create_model_config(
        network,
        dataclasses.replace(published.architecture, stem=backbone.stem, blocks=backbone.blocks),
    )
    taken, ignored = {}, []
    for path, value in flax.traverse_util.flatten_dict(checkpoint.variables, sep='/').items():
        collection, branch, *rest = path.split('/')
        if branch != 'backbone' or rest[0] == _LAST:
            ignored.append(path)
            continue
        index = int(rest[0].removeprefix('features_'))
        layer = f'block{index - 1}' if index else 'stem'
        taken['/'.join([collection, layer, *rest[1:]])] = value
    variables = flax.traverse_util.flatten_dict(init_variables(config, seed=0), sep='/')
    provenance = {
        'imported': 'modnet_backbone',
        'from': checkpoint.config.provenance,
        'ignored': sorted(ignored),
        'initialised': sorted(set(variables) - set(taken)),
    }
    return Checkpoint(
        dataclasses.replace(config, provenance=provenance),
        flax.traverse_util.unflatten_dict(variables | taken, sep='/'),
        checkpoint.origin,
    )
