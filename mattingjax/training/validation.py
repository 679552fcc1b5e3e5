"""The photos that a training is validated on, and how good a network is on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from mattingjax.data.datasets import Dataset
from mattingjax.data.records import RecordError, choose_evenly
from mattingjax.data.transforms import create_transform
from mattingjax.errors import MattingError
from mattingjax.evaluation.metrics import mad, mean_gradient_error, mse
from mattingjax.networks import ModelConfig, Variables, apply_compiled
from mattingjax.process.progress import show_progress

Example = dict[str, Any]
FIGURES = {'mad': mad, 'mse': mse, 'mean_gradient': mean_gradient_error}


def load_examples(
    dataset: Dataset, backgrounds: Dataset | None, size: int, photos: int, *, on_error: str
) -> tuple[list[Example], list[str]]:
    """The photos to validate on, in memory.

    Args:
      dataset: Where they lie.
      backgrounds: The pictures that cut-outs are put on, if there are any.
      size: Pixels of a side that they are resized to.
      photos: How many are taken, evenly chosen.
      on_error: 'skip' leaves out a photo that cannot be read, 'raise' raises its error.

    Returns:
      `image`, uint8 [S, S, 3], and, unless they are unlabelled, `alpha`, float32 [S, S] in [0, 1],
      of each; and the error messages of the photos that are left out.

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
    network: ModelConfig, variables: Variables, examples: Sequence[Example], batch_size: int
) -> list[np.ndarray]:
    """Alphas of photos at the network's size, float32 [S, S] each."""
    alphas: list[np.ndarray] = []
    for start in range(0, len(examples), batch_size):
        images = [example['image'] for example in examples[start : start + batch_size]]
        # One shape, compiled once: the last batch is filled up.
        filled = images + images[-1:] * (batch_size - len(images))
        outputs = apply_compiled(network, variables, np.stack(filled).astype(np.float32))
        alphas += list(np.asarray(outputs['alpha'])[: len(images), :, :, 0])
    return alphas


def measure(alphas: Sequence[np.ndarray], examples: Sequence[Example]) -> dict[str, float]:
    """Means over the photos: MAD, MSE, and MMNet's gradient error; see `evaluation.metrics`.

    Empty for photos without alphas.
    """
    if not all('alpha' in example for example in examples):
        return {}
    return {
        name: float(
            np.mean(
                [
                    function(alpha, example['alpha'])
                    for alpha, example in zip(alphas, examples, strict=True)
                ]
            )
        )
        for name, function in FIGURES.items()
    }
