"""The definitions of the metrics: the error of each pixel, and how errors are summed up."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from mattingjax.errors import MattingError

# Rounding errors of float32 are smaller than this, and 8-bit alphas are either equal to a level or
# threshold or further from it.
TOLERANCE = 1e-6

_SIGMA = 1.4
_RADIUS = 4  # of the Gaussian filters of both gradient errors, in pixels
_SIZE = 2 * _RADIUS + 1

_CONNECTIVITY_STEPS = 10
_CONNECTIVITY_THRESHOLD = 0.15


class Metric(NamedTuple):
    """The definition of a metric.

    Attributes:
      error_map: Takes predicted and true alpha, float64 [H, W], and returns the error of each
        pixel, [H, W].
      is_mean: Whether the metric is the mean over the pixels, or else their sum in thousands.
      definition: The definition in words, for reports.
      border: Width in pixels of the border that never counts.
    """

    error_map: Callable[[np.ndarray, np.ndarray], np.ndarray]
    is_mean: bool
    definition: str
    border: int = 0

    def inner(self, values: np.ndarray) -> np.ndarray:
        """Removes the border from an array [H, W]."""
        height, width = values.shape
        return values[self.border : height - self.border, self.border : width - self.border]

    def reduce(self, errors: np.ndarray, counted: np.ndarray) -> float:
        """Computes the metric.

        Args:
          errors: The error of each pixel, [H, W].
          counted: The pixels that count, bool [H, W].

        Raises:
          MattingError: The alphas are too small, or no pixel counts.
        """
        if min(errors.shape) <= 2 * self.border:
            least = 2 * self.border + 1
            raise MattingError(
                f'pred_alpha: expected at least {least}×{least} pixels, got shape '
                f'{list(errors.shape)}'
            )
        errors = self.inner(errors)[self.inner(counted)]
        if not errors.size:
            raise MattingError(
                f'region: expected a pixel at least {self.border} away from every side, got none'
            )
        return float(errors.mean() if self.is_mean else errors.sum() / 1000)


def _absolute(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.abs(pred - true)


def _squared(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.square(pred - true)


def _gradient_difference(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    impulse = np.zeros((_SIZE, _SIZE))
    impulse[_RADIUS, _RADIUS] = 1
    norm = np.linalg.norm(_gradient(impulse)[0])
    pred, true = (np.hypot(*_gradient(_stretch(alpha))) / norm for alpha in (pred, true))
    return np.square(pred - true)


def _gradient_of_difference(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.hypot(*_gradient(pred - true))


def _connectivity_difference(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    both = np.minimum(pred, true)
    connected = np.ones(both.shape, bool)
    level = np.zeros(both.shape)
    for step in range(1, _CONNECTIVITY_STEPS + 1):
        reached = step / _CONNECTIVITY_STEPS
        connected &= _largest_component(both >= reached - TOLERANCE)
        level[connected] = reached
    # φ is 1 minus these values, but the 1 cancels out in the difference.
    pred, true = (
        np.where(alpha - level >= _CONNECTIVITY_THRESHOLD - TOLERANCE, alpha - level, 0)
        for alpha in (pred, true)
    )
    return np.abs(pred - true)


def _gradient(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of a Gaussian of sum 1, down and across, with replicated border: [H, W] each."""

    def derive(order: tuple[int, int]) -> np.ndarray:
        return ndimage.gaussian_filter(values, _SIGMA, order, mode='nearest', radius=_RADIUS)

    return derive((1, 0)), derive((0, 1))


def _stretch(alpha: np.ndarray) -> np.ndarray:
    """Stretches an alpha to [0, 1]; a constant one, whose gradient is 0 anyway, stays."""
    low, high = alpha.min(), alpha.max()
    return (alpha - low) / (high - low) if high > low else alpha


def _largest_component(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    return labels == 1 + sizes[1:].argmax()


METRICS = {
    'mad': Metric(_absolute, True, 'mean of |pred − true|'),
    'mse': Metric(_squared, True, 'mean of (pred − true)²'),
    'sad': Metric(_absolute, False, 'sum of |pred − true| in thousands'),
    'gradient': Metric(
        _gradient_difference,
        False,
        'sum of (‖∇pred‖ − ‖∇true‖)² in thousands, each alpha stretched to [0, 1] first, '
        'derivatives of a Gaussian of sigma 1.4 pixels, 9×9, L2 norm 1 (Rhemann et al. 2009, as Xu '
        'et al. 2017 compute it)',
    ),
    'mean_gradient': Metric(
        _gradient_of_difference,
        True,
        'mean of ‖∇pred − ∇true‖ in 1/pixel, derivatives of a Gaussian of sigma 1.4 pixels, 9×9, '
        'sum 1, four pixels along each side left out (MMNet, Seo et al. 2019)',
        border=_RADIUS,
    ),
    'connectivity': Metric(
        _connectivity_difference,
        False,
        'sum of |φ(pred) − φ(true)| in thousands, levels in steps of 0.1, threshold 0.15, '
        '4-connected components, without weight by distance (Rhemann et al. 2009, as Xu et al. '
        '2017 compute it)',
    ),
}
