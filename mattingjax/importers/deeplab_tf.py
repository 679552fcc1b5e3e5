"""Mobile DeepLabv3's names in TF-Slim's checkpoints, what their shapes imply, and what differs.

Published checkpoints of TensorFlow's DeepLab with MobileNetV2 are read, and as a start of a
training TF-Slim's MobileNetV2 of ImageNet, which has the backbone alone. Not those of MMNet's own
program, whose DeepLab has other names.

Published networks were trained at 513 pixels, where TensorFlow pads strided convolutions on both
sides. At a multiple of 16 it pads after the last pixel alone, as this network does at every size:
there the same weights see, and put, everything 15 pixels further up and left. Training moves it
back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from mattingjax.importers.matching import Shape, Source
from mattingjax.importers.tf_checkpoint import find_slim_source
from mattingjax.networks import ModelConfig, create_model_config
from mattingjax.networks.deeplab.module import ASPP_RATES, EPSILON, GEOMETRY, DeepLabConfig
from mattingjax.networks.mobilenet_v2 import InvertedResidualConfig

BACKBONE = 'MobilenetV2/'
LOGITS = 'logits/semantic/'
_ATROUS = tuple(f'aspp{i}' for i in range(1, 1 + len(ASPP_RATES)))
HEAD = (
    'image_pooling/', 'aspp0/', 'concat_projection/', LOGITS,
    *(f'{branch}_{part}/' for branch in _ATROUS for part in ('depthwise', 'pointwise')),
)  # fmt: skip
# What follows the backbone in a classifier of ImageNet.
_CLASSIFIER = (f'{BACKBONE}Conv_1/', f'{BACKBONE}Logits/')
# What TF-Slim's normalisations add to the variance in the backbone; in DeepLab's head it is ours.
_SLIM_EPSILON = 1e-3
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
      The names of the tensors of an ImageNet classifier, and of a map of neither two nor PASCAL
      VOC's classes; and the beginnings of the names of the tensors that may be absent in their
      stead.
    """
    ignored = [name for name in shapes if name.startswith(_CLASSIFIER)]
    if not any(name.startswith(HEAD) for name in shapes):
        return ignored, HEAD
    classes = _count_classes(shapes)
    if classes is not None and classes not in _TWO_CLASSES:
        return [*ignored, *(name for name in shapes if name.startswith(LOGITS))], (LOGITS,)
    return ignored, ()


def _count_classes(shapes: Mapping[str, Shape]) -> int | None:
    """The number of classes of the map, or None if its tensors are no convolution's."""
    weights, biases = (shapes.get(f'{LOGITS}{leaf}', ()) for leaf in ('weights', 'biases'))
    return biases[0] if len(weights) == 4 and weights[3:] == biases else None


def adapt_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Makes a checkpoint's tensors those of this network, whose layers then compute the same.

    - Normalisation of the backbone: gamma is multiplied by sqrt((variance + ours) / (variance +
      theirs)), as this network has one epsilon and theirs two.
    - Classes: of PASCAL VOC's 21 background and person stay. Their softmax is the person's
      probability where there is nothing else.

    Args:
      tensors: Name → tensor; not changed.
    """
    adapted = dict(tensors)
    for name, gamma in tensors.items():
        if not (name.startswith(BACKBONE) and name.endswith('/gamma')):
            continue
        variance = tensors.get(f'{name.removesuffix("gamma")}moving_variance')
        # What does not fit is left as it is, and refused when tensors and variables are matched.
        if variance is None or variance.shape != gamma.shape:
            continue
        values = variance.astype(np.float64)
        with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
            factor = np.sqrt((values + EPSILON) / (values + _SLIM_EPSILON))
            # Of an impossible variance it is the variance that is told.
            factor = np.where(np.isfinite(factor), factor, 1)
            adapted[name] = (gamma * factor).astype(np.float32)
    chosen = _TWO_CLASSES.get(_count_classes({name: t.shape for name, t in tensors.items()}) or 0)
    for leaf in ('weights', 'biases') if chosen else ():
        adapted[f'{LOGITS}{leaf}'] = tensors[f'{LOGITS}{leaf}'][..., chosen]
    return adapted


def deeplab_config_from_shapes(shapes: Mapping[str, Shape], network: str) -> ModelConfig:
    """Returns the network that the tensors' shapes imply.

    TF-Slim adds a shortcut wherever the stride is 1 and a block's input and output have the same
    width, so its files mean that. Layers of which nothing is there have the published widths, so
    that it is they that are found missing.

    Args:
      shapes: Name → shape of each tensor.
      network: 'deeplab' or 'deeplab_aspp', whose head a backbone alone gets.
    """
    names = list(shapes)
    if any(name.startswith(HEAD) for name in names):
        atrous = any(name.startswith(HEAD) and name.startswith(_ATROUS) for name in names)
        network = 'deeplab_aspp' if atrous else 'deeplab'
    published = create_model_config(network).architecture
    assert isinstance(published, DeepLabConfig)

    def width(scope: str, otherwise: int) -> int:
        ends = ('weights', 'BatchNorm/gamma', 'BatchNorm/beta')
        found = (shapes[f'{scope}/{end}'][-1:] for end in ends if f'{scope}/{end}' in shapes)
        return next((shape[0] for shape in found if shape), otherwise)

    stem = inputs = width(f'{BACKBONE}Conv', published.stem)
    blocks = []
    for i, (stride, _) in enumerate(GEOMETRY):
        scope = BACKBONE + _block_scope(i)
        expand = any(name.startswith(f'{scope}/expand/') for name in names)
        hidden = width(f'{scope}/expand', published.blocks[i].hidden) if expand else inputs
        features = width(f'{scope}/project', published.blocks[i].features)
        shortcut = stride == 1 and features == inputs
        blocks.append(InvertedResidualConfig(hidden, features, expand, shortcut))
        inputs = features
    branches = ['aspp0', *(f'{branch}_pointwise' for branch in _ATROUS)]
    return create_model_config(
        network,
        dataclasses.replace(
            published,
            stem=stem,
            blocks=tuple(blocks),
            image_pooling=width('image_pooling', published.image_pooling),
            aspp=tuple(map(width, branches, published.aspp)),
            projection=width('concat_projection', published.projection),
        ),
    )
