"""Reads MMNet's TensorFlow 1 checkpoints: tensors, names, and the widths that shapes imply."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mattingjax.errors import MattingError, WeightsError
from mattingjax.importers.matching import Shape, Source
from mattingjax.importers.tf_bundle import TensorBundle
from mattingjax.networks import MMNetConfig
from mattingjax.networks.mmnet.module import RATES, REFINEMENT_RATES, EncoderBlockConfig

_HWCM = (0, 1, 3, 2)  # from TensorFlow's depthwise kernels [h, w, channel, multiplier]
_LEAVES = {'scale': 'gamma', 'bias': 'beta', 'mean': 'moving_mean', 'var': 'moving_variance'}
_UNITS = {
    'pointwise': 'pointwise_conv',
    'stride': 'depthwise_conv_stride',
    'dilation': 'depthwise_conv_dilation',
    'depthwise': 'depthwise_conv',
}
# Names of the variables of training: counters, slots of optimizers, averages.
_BOOKKEEPING = re.compile(
    r'global_step$|beta[12]_power|learning_rate|'
    r'/(Adam(_1)?|Momentum|RMSProp(_1)?|ExponentialMovingAverage)$'
)


def find_prefix(path: Path) -> Path | None:
    """Returns the prefix of the TensorFlow checkpoint that a path is a part of, or else None."""
    name = re.sub(r'\.(index|meta|data-\d{5}-of-\d{5})$', '', path.name)
    index = path.parent / f'{name}.index'
    return path.parent / name if name and os.path.isfile(index) else None


def read_tensorflow_tensors(prefix: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads the tensors of a TensorFlow checkpoint.

    Args:
      prefix: The path of the checkpoint without `.index` or `.data-…`.

    Returns:
      Name → tensor, and the names of the variables of training, which are not read.

    Raises:
      WeightsError: The checkpoint is damaged or incomplete.
    """
    try:
        bundle = TensorBundle(prefix)
        names = sorted(bundle.entries)
        ignored = [name for name in names if _BOOKKEEPING.search(name)]
        tensors = {name: bundle.read(name) for name in names if not _BOOKKEEPING.search(name)}
    except WeightsError as error:
        raise WeightsError(f'{prefix}: damaged TensorFlow checkpoint: {error}') from error
    except OSError as error:
        file = Path(error.filename or prefix).name
        raise WeightsError(f'{prefix}: {file}: {error.strerror or error}') from error
    return tensors, ignored


def find_tensorflow_source(path: str) -> Source:
    """Returns the source, in the checkpoint, of the variable at 'params/enc_block0/…/kernel'."""
    _, block, *modules, leaf = path.split('/')
    depthwise = False
    if block in ('final_block', 'aux_block'):
        unit = 'pointwise_conv'
    elif block == 'init_block':
        unit = 'conv'
    elif modules[0] in ('conv', 'bn'):  # dec_block4 is one convolution
        unit = 'pointwise_conv'
    elif modules[0] == 'merge':
        unit = 'merge/pointwise_conv'
    elif modules[0] == 'pointwise':
        unit = 'pointwise_conv'
    else:
        group, kind = modules[0].rsplit('_', 1)
        unit = f'{group}/{_UNITS[kind]}'
        depthwise = kind != 'pointwise'
    scope = f'MMNet/{block}/{unit}'
    if modules[-1:] == ['bn']:
        return Source(f'{scope}/BatchNorm/{_LEAVES[leaf]}')
    if leaf == 'bias':
        return Source(f'{scope}/biases')
    if depthwise:
        return Source(f'{scope}/depthwise_weights', _HWCM)
    return Source(f'{scope}/weights')


def mmnet_config_from_shapes(shapes: Mapping[str, Shape]) -> MMNetConfig | None:
    """Returns the widths that the tensors' shapes imply, or None if a tensor is missing.

    Args:
      shapes: Name → shape of each tensor.
    """

    def width(scope: str) -> int:
        return shapes[f'MMNet/{scope}/weights'][-1]

    def blocks(
        prefix: str, first: int, rates: tuple[tuple[int, ...], ...]
    ) -> tuple[EncoderBlockConfig, ...]:
        return tuple(
            EncoderBlockConfig(
                tuple(
                    width(f'{prefix}{i}/branch{branch}/pointwise_conv')
                    for branch in range(len(branches))
                ),
                width(f'{prefix}{i}/merge/pointwise_conv'),
            )
            for i, branches in enumerate(rates, start=first)
        )

    try:
        return MMNetConfig(
            init=width('init_block/conv'),
            encoder=blocks('enc_block', 0, RATES),
            compressed=(width('dec_block0/pointwise_conv'), width('dec_block1/pointwise_conv')),
            shortcut=(
                width('dec_block0/shortcut/pointwise_conv'),
                width('dec_block1/shortcut/pointwise_conv'),
            ),
            refinement=blocks('dec_block', 2, REFINEMENT_RATES),
            final=width('dec_block4/pointwise_conv'),
        )
    except (KeyError, IndexError, MattingError):
        return None
