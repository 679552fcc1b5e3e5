"""Mobile DeepLabv3's names in TF-Slim's checkpoints, what their shapes imply, and what differs.

Published checkpoints of TensorFlow's DeepLab with MobileNetV2 are read, and as a start of a
training TF-Slim's MobileNetV2 of ImageNet, which has the backbone alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mattingjax.errors import MattingError
from mattingjax.importers.matching import Shape, Source
from mattingjax.importers.tf_checkpoint import find_slim_source
from mattingjax.networks import ModelConfig, create_model_config, find_network
from mattingjax.networks.deeplab.module import ASPP_RATES, EPSILON, GEOMETRY
from mattingjax.networks.mobilenet_v2 import InvertedResidualConfig

BACKBONE = 'MobilenetV2/'
LOGITS = 'logits/semantic/'
HEAD = ('image_pooling/', 'aspp', 'concat_projection/', LOGITS)
# What follows the backbone in a classifier of ImageNet.
_CLASSIFIER = (f'{BACKBONE}Conv_1/', f'{BACKBONE}Logits/')
# What TF-Slim's normalisations add to the variance, in the backbone and in DeepLab's head.
_SLIM_EPSILON, _HEAD_EPSILON = 1e-3, 1e-5
# Number of classes → which of them are background and person.
_TWO_CLASSES = {2: [0, 1], 21: [0, 15]}  # the second as PASCAL VOC numbers them


def find_deeplab_source(path: str) -> Source:
    """Returns the source, in the checkpoint, of the variable at 'params/block0/…/kernel'."""
    _, layer, *modules, leaf = path.split('/')
    scope = layer
    if layer == 'stem':
        scope = f'{BACKBONE}Conv'
    elif layer == 'logits':
        scope = LOGITS.rstrip('/')
    elif layer.startswith('block'):
        number = layer.removeprefix('block')
        scope = f'{BACKBONE}{_block_scope(int(number))}/{modules[0]}'
    part = modules[-1] if modules else ''
    return find_slim_source(scope, part, leaf, depthwise=scope.endswith('depthwise'))


def _block_scope(index: int) -> str:
    return f'expanded_conv_{index}' if index else 'expanded_conv'


def split_variables(shapes: Mapping[str, Shape]) -> tuple[list[str], tuple[str, ...]]:
    """Tells which tensors of a checkpoint DeepLab does without, and which it may lack.

    Args:
      shapes: Name → shape of each tensor.

    Returns:
      The names of the tensors of an ImageNet classifier, and of a map of other classes than people
      among them; and the beginnings of the names of the tensors that may be absent in their stead.
    """
    ignored = [name for name in shapes if name.startswith(_CLASSIFIER)]
    if not any(name.startswith(HEAD) for name in shapes):
        return ignored, HEAD
    classes = shapes.get(f'{LOGITS}biases', ())
    if len(classes) == 1 and classes[0] not in _TWO_CLASSES:
        return [*ignored, *(name for name in shapes if name.startswith(LOGITS))], (LOGITS,)
    return ignored, ()


def adapt_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Makes a checkpoint's tensors those of this network, which then computes the same.

    - Normalisation: gamma is multiplied by sqrt((variance + ours) / (variance + theirs)), as this
      network has one epsilon and theirs two.
    - Classes: of PASCAL VOC's 21 background and person stay. Their softmax is the person's
      probability where there is nothing else.

    Args:
      tensors: Name → tensor; not changed.
    """
    adapted = dict(tensors)
    for name, gamma in tensors.items():
        scope, _, leaf = name.rpartition('/')
        variance = tensors.get(f'{scope}/moving_variance')
        # What does not fit is left as it is, and refused when tensors and variables are matched.
        if leaf != 'gamma' or variance is None or variance.shape != gamma.shape:
            continue
        theirs = _SLIM_EPSILON if name.startswith(BACKBONE) else _HEAD_EPSILON
        values = variance.astype(np.float64)
        with np.errstate(invalid='ignore', divide='ignore'):
            factor = np.sqrt((values + EPSILON) / (values + theirs))
            adapted[name] = (gamma * factor).astype(np.float32)
    for leaf in ('weights', 'biases'):
        logits = tensors.get(f'{LOGITS}{leaf}')
        if logits is not None and logits.ndim and logits.shape[-1] in _TWO_CLASSES:
            adapted[f'{LOGITS}{leaf}'] = logits[..., _TWO_CLASSES[logits.shape[-1]]]
    return adapted


def deeplab_config_from_shapes(shapes: Mapping[str, Shape], network: str) -> ModelConfig | None:
    """Returns the network that the tensors' shapes imply, or None if a tensor is missing.

    TF-Slim adds a shortcut wherever the stride is 1 and a block's input and output have the same
    width, so its files mean that.

    Args:
      shapes: Name → shape of each tensor.
      network: 'deeplab' or 'deeplab_aspp', whose head a backbone alone gets.
    """

    def width(scope: str) -> int:
        return shapes[f'{scope}/weights'][-1]

    try:
        stem = inputs = width(f'{BACKBONE}Conv')
        blocks = []
        for i, (stride, _) in enumerate(GEOMETRY):
            scope = BACKBONE + _block_scope(i)
            expand = f'{scope}/expand/weights' in shapes
            hidden = width(f'{scope}/expand') if expand else inputs
            features = width(f'{scope}/project')
            shortcut = stride == 1 and features == inputs
            blocks.append(InvertedResidualConfig(hidden, features, expand, shortcut))
            inputs = features
        widths: dict[str, Any] = {'stem': stem, 'blocks': tuple(blocks)}
        if any(name.startswith(HEAD) for name in shapes):
            atrous = [f'aspp{i}_pointwise' for i in range(1, 1 + len(ASPP_RATES))]
            atrous = [scope for scope in atrous if f'{scope}/weights' in shapes]
            network = 'deeplab_aspp' if atrous else 'deeplab'
            widths |= {
                'image_pooling': width('image_pooling'),
                'aspp': tuple(map(width, ['aspp0', *atrous])),
                'projection': width('concat_projection'),
            }
        published = find_network(network).architecture()
        return create_model_config(network, dataclasses.replace(published, **widths))
    except (KeyError, IndexError, MattingError):
        return None
