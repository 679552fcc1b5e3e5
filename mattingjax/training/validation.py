"""Validation: the photos of it, the mattes of a network on them, and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from mattingjax.data.datasets import Dataset
from mattingjax.data.placement import Placement
from mattingjax.data.records import RecordError, choose_evenly
from mattingjax.data.transforms import create_transform
from mattingjax.errors import MattingError
from mattingjax.evaluation.metrics import mad, mean_gradient_error, mse
from mattingjax.evaluation.metrics.soft_band import mad_soft
from mattingjax.networks import ModelConfig, Variables, apply_compiled
from mattingjax.process.progress import show_progress

Example = dict[str, Any]
FIGURES = {'mad': mad, 'mse': mse, 'mean_gradient': mean_gradient_error, 'mad_soft': mad_soft}


def load_examples(
    dataset: Dataset, backgrounds: Dataset | None, size: int, photos: int, *, on_error: str
) -> tuple[list[Example], list[str]]:
    """Loads the photos to validate on into memory.

    Args:
      dataset: The dataset of the validation.
      backgrounds: The pictures on which cut-outs are put; None if there are no cut-outs.
      size: The side in pixels to which photos are resized.
      photos: The largest number of photos; they are chosen evenly.
      on_error: 'skip' leaves out a photo that cannot be read, 'raise' raises its error.

    Returns:
      An example for each photo: `image`, uint8 [S, S, 3], and, unless it is unlabelled, `alpha`,
      float32 [S, S] in [0, 1]; and the error messages of the photos that are left out.

    Raises:
      MattingError: No photo can be read, or with `on_error` 'raise' one of them cannot.
    """
    transform = create_transform('evaluation', size, backgrounds=backgrounds)
    examples, unreadable = [], []
    chosen = choose_evenly(len(dataset), photos)
    for index in show_progress(chosen, unit='photo', description='reading the validation'):
        try:
            example = transform(dataset[index], np.random.default_rng(index))
        except RecordError as error:
            if on_error == 'raise':
                raise
            unreadable.append(str(error))
            logging.warning('validation: %s; left out', error)
            continue
        if 'alpha' in example:
            example['alpha'] = example['alpha'][..., 0]
        examples.append(example)
    if not examples:
        raise MattingError(f'config.validation: no photo can be read, the first: {unreadable[0]}')
    return examples, unreadable


def predict(
    network: ModelConfig,
    variables: Variables,
    examples: Sequence[Example],
    batch_size: int,
    placement: Placement,
) -> list[np.ndarray]:
    """Predicts the alphas of examples at the network's input size.

    Args:
      network: The network.
      variables: The network's `params` and `batch_stats`, on every device.
      examples: What `load_examples` returned; all processes have the same.
      batch_size: The number of photos that are computed at once, a multiple of the devices.
      placement: The devices, which share out the photos.

    Returns:
      An alpha for each example, float32 [S, S] in [0, 1].
    """
    alphas: list[np.ndarray] = []
    for start in range(0, len(examples), batch_size):
        images = [example['image'] for example in examples[start : start + batch_size]]
        # The last batch is filled up: another shape would be compiled anew.
        filled = images + images[-1:] * (batch_size - len(images))
        batch = placement.put(np.stack(filled).astype(np.float32), placement.along(0))
        alpha = placement.fetch(apply_compiled(network, variables, batch)['alpha'])
        alphas += list(alpha[: len(images), :, :, 0])
    return alphas


def measure(alphas: Sequence[np.ndarray], examples: Sequence[Example]) -> dict[str, float]:
    """Averages the errors of predicted alphas over the photos.

    Args:
      alphas: The predicted alphas, each float32 [S, S] in [0, 1].
      examples: The examples of these photos.

    Returns:
      The errors that `FIGURES` names, which are functions of `evaluation.metrics`, each averaged
      over the photos that have it; without those that no photo has. Empty if an example has no
      alpha.
    """
    if not all('alpha' in example for example in examples):
        return {}
    pairs = [(alpha, example['alpha']) for alpha, example in zip(alphas, examples, strict=True)]
    means = {}
    for name, function in FIGURES.items():
        errors = np.array([function(*pair) for pair in pairs])
        if not np.isnan(errors).all():
            means[name] = float(np.nanmean(errors))
    return means


def check_best(best: str, examples: Sequence[Example]) -> None:
    """Raises MattingError if no photo has the figure by which the best network is chosen.

    Args:
      best: The figure's name, one of `FIGURES`.
      examples: What `load_examples` returned; none need have an alpha.
    """
    alphas = [example['alpha'] for example in examples if 'alpha' in example]
    if alphas and all(np.isnan(FIGURES[best](alpha, alpha)) for alpha in alphas):
        raise MattingError(
            f'config.validation.best={best}: none of the {len(alphas)} alphas of the validation is '
            'soft anywhere; choose another figure'
        )
