"""Reads TensorFlow 1 checkpoints: their tensors, and the names that TF-Slim gives a layer's."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from mattingjax.errors import WeightsError
from mattingjax.importers.matching import Source
from mattingjax.importers.tf_bundle import TensorBundle

_HWCM = (0, 1, 3, 2)  # from TensorFlow's depthwise kernels [h, w, channel, multiplier]
_LEAVES = {'scale': 'gamma', 'bias': 'beta', 'mean': 'moving_mean', 'var': 'moving_variance'}
# Names of the variables of training: counters, slots of optimizers, averages.
_BOOKKEEPING = re.compile(
    r'global_step$|beta[12]_power|learning_rate|'
    r'/(Adam(_1)?|Momentum|RMSProp(_1)?|ExponentialMovingAverage)$'
)
_AVERAGE = '/ExponentialMovingAverage'  # what TF-Slim's published accuracies are measured with


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
      Name → tensor, a variable's moving average in its place where there is one; and the names of
      the other variables of training, which are not read.

    Raises:
      WeightsError: The checkpoint is damaged or incomplete.
    """
    try:
        bundle = TensorBundle(prefix)
        names = sorted(bundle.entries)
        averages = {name.removesuffix(_AVERAGE): name for name in names if name.endswith(_AVERAGE)}
        kept = [name for name in names if not _BOOKKEEPING.search(name)]
        ignored = sorted(set(names) - set(kept) - {averages.get(name) for name in kept})
        tensors = {name: bundle.read(averages.get(name, name)) for name in kept}
    except WeightsError as error:
        raise WeightsError(f'{prefix}: damaged TensorFlow checkpoint: {error}') from error
    except OSError as error:
        file = Path(error.filename or prefix).name
        raise WeightsError(f'{prefix}: {file}: {error.strerror or error}') from error
    return tensors, ignored


def find_slim_source(scope: str, part: str, leaf: str, *, depthwise: bool = False) -> Source:
    """Returns the source of a variable of a convolution that TF-Slim made.

    Args:
      scope: The layer's scope, such as 'MobilenetV2/Conv'.
      part: 'bn' for a variable of the layer's normalisation.
      leaf: The variable: 'kernel' or 'bias'; 'scale', 'bias', 'mean' or 'var' of a normalisation.
      depthwise: Whether each channel has its own filter.
    """
    if part == 'bn':
        return Source(f'{scope}/BatchNorm/{_LEAVES[leaf]}')
    if leaf == 'bias':
        return Source(f'{scope}/biases')
    return Source(f'{scope}/depthwise_weights', _HWCM) if depthwise else Source(f'{scope}/weights')
