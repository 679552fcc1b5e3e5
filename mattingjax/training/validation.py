"""How good a network is at a moment of its training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mattingjax.evaluation.metrics import mad, mean_gradient_error, mse
from mattingjax.networks import ModelConfig, Variables, apply_compiled
from mattingjax.training.inputs import Example

FIGURES = {'mad': mad, 'mse': mse, 'mean_gradient': mean_gradient_error}


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
