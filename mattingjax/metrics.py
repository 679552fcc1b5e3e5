"""How far a predicted matte is from the true one, in the measures that matting papers report."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mattingjax.errors import MattingError

# Alphas that went through float32 miss their exact value by less than this; 8-bit alphas never come
# this close to a level or threshold without meeting it.
_TOLERANCE = 1e-6

_SIGMA = 1.4
_RADIUS = 4  # both gradient errors cut their filters off here
_SIZE = 2 * _RADIUS + 1

_CONNECTIVITY_STEPS = 10
_CONNECTIVITY_THRESHOLD = 0.15


def mad(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> float:
    """Mean absolute difference.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count (the unknown part of a trimap, say); all if None.

    Returns:
      The mean over the pixels, in [0, 1]. MMNet's paper reports it in hundredths, others in
      thousandths.

    Raises:
      MattingError: An array has another type, shape or range, or the region is empty.
    """
    pred, true, counted = _check(pred_alpha, true_alpha, region)
    return float(np.abs(pred - true)[counted].mean())


def mse(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> float:
    """Mean squared error.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count; all if None.

    Returns:
      The mean over the pixels, in [0, 1].

    Raises:
      MattingError: An array has another type, shape or range, or the region is empty.
    """
    pred, true, counted = _check(pred_alpha, true_alpha, region)
    return float(np.square(pred - true)[counted].mean())


def sad(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> float:
    """Sum of absolute differences.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count; all if None.

    Returns:
      The sum over the pixels in thousands, as papers report it: 1 is a thousand wrong pixels.

    Raises:
      MattingError: An array has another type, shape or range, or the region is empty.

    References:
      Rhemann et al., A Perceptually Motivated Online Benchmark for Image Matting, CVPR 2009.
    """
    pred, true, counted = _check(pred_alpha, true_alpha, region)
    return float(np.abs(pred - true)[counted].sum() / 1000)


def gradient_error(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> float:
    """The matting benchmark's gradient error: Σ (‖∇pred‖ − ‖∇true‖)².

    As papers compute it, each alpha is first stretched to the whole of [0, 1], so that a prediction
    of half the true alpha has no error, and a faint shadow of one on an empty picture has a large
    one. The filters are first derivatives of a Gaussian (sigma 1.4 pixels, 9×9) of L2 norm 1; the
    border is replicated. Pixels outside the region take part in the stretching and the filters.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count; all if None.

    Returns:
      The sum over the pixels in thousands.

    Raises:
      MattingError: An array has another type, shape or range, or the region is empty.

    References:
      Rhemann et al., CVPR 2009; stretching and filter norm as in the evaluation code of Xu et al.,
      Deep Image Matting (https://arxiv.org/abs/1703.03872).
    """
    pred, true, counted = _check(pred_alpha, true_alpha, region)
    impulse = np.zeros((_SIZE, _SIZE))
    impulse[_RADIUS, _RADIUS] = 1
    norm = np.linalg.norm(_gradient(impulse)[0])
    pred, true = (np.hypot(*_gradient(_stretch(alpha))) / norm for alpha in (pred, true))
    return float(np.square(pred - true)[counted].sum() / 1000)


def mean_gradient_error(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> float:
    """MMNet's gradient error: the mean of ‖∇pred − ∇true‖.

    The filters are first derivatives of a Gaussian (sigma 1.4 pixels, 9×9, its sum 1). The four
    pixels along each side, where they would reach beyond the picture, never count.

    Args:
      pred_alpha: float [H, W] in [0, 1], H and W at least 9.
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count; all if None.

    Returns:
      The mean over the pixels, in 1/pixel. MMNet's paper reports it in thousandths.

    Raises:
      MattingError: An array has another type, shape or range, or the region has no pixel at least
        four away from every side.

    References:
      Seo et al., Towards Real-Time Automatic Portrait Matting on Mobile Devices
      (https://arxiv.org/abs/1904.03816).
    """
    pred, true, counted = _check(pred_alpha, true_alpha, region)
    if min(pred.shape) < _SIZE:
        raise MattingError(
            f'pred_alpha: expected at least {_SIZE}×{_SIZE} pixels, got shape {list(pred.shape)}'
        )
    inner = slice(_RADIUS, -_RADIUS)
    if not counted[inner, inner].any():
        raise MattingError(
            f'region: expected a pixel at least {_RADIUS} away from every side, got none'
        )
    error = np.hypot(*_gradient(pred - true))
    return float(error[inner, inner][counted[inner, inner]].mean())


def connectivity_error(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> float:
    """The matting benchmark's connectivity error: Σ |φ(pred) − φ(true)|.

    A pixel's level l is the largest of 0, 0.1, …, 1 up to which it belongs, at each step above 0,
    to the largest 4-connected component of the pixels where both alphas reach that step (of several
    as large, the first in reading order; where no pixel does, none gets that far). With
    d = alpha − l, φ(alpha) is 1 − d where d is at least 0.15, else 1. Pixels outside the region
    take part in the components.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count; all if None.

    Returns:
      The sum over the pixels in thousands.

    Raises:
      MattingError: An array has another type, shape or range, or the region is empty.

    References:
      Rhemann et al., CVPR 2009, without its weight by distance, as in the evaluation code of Xu et
      al., Deep Image Matting (https://arxiv.org/abs/1703.03872).
    """
    pred, true, counted = _check(pred_alpha, true_alpha, region)
    both = np.minimum(pred, true)
    connected = np.ones(both.shape, bool)
    level = np.zeros(both.shape)
    for step in range(1, _CONNECTIVITY_STEPS + 1):
        reached = step / _CONNECTIVITY_STEPS
        connected &= _largest_component(both >= reached - _TOLERANCE)
        level[connected] = reached
    # The 1 of both φ cancels out.
    pred, true = (
        np.where(alpha - level >= _CONNECTIVITY_THRESHOLD - _TOLERANCE, alpha - level, 0)
        for alpha in (pred, true)
    )
    return float(np.abs(pred - true)[counted].sum() / 1000)


def compute_metrics(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> dict[str, float]:
    """All of this module's measures of one matte.

    Args:
      pred_alpha: float [H, W] in [0, 1], H and W at least 9.
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count; all if None.

    Returns:
      'mad', 'mse', 'mean_gradient': means; 'sad', 'gradient', 'connectivity': sums in thousands.

    Raises:
      MattingError: As `mean_gradient_error`.
    """
    metrics = {
        'mad': mad,
        'mse': mse,
        'sad': sad,
        'gradient': gradient_error,
        'mean_gradient': mean_gradient_error,
        'connectivity': connectivity_error,
    }
    return {name: metric(pred_alpha, true_alpha, region=region) for name, metric in metrics.items()}


def _check(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, region: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both alphas as float64, and the region; raises MattingError unless they fit together."""
    pred = _check_alpha(pred_alpha, 'pred_alpha')
    true = _check_alpha(true_alpha, 'true_alpha')
    shape = list(pred.shape)
    if true.shape != pred.shape:
        raise MattingError(
            f"true_alpha: expected pred_alpha's shape {shape}, got {list(true.shape)}"
        )
    if region is None:
        return pred, true, np.ones(pred.shape, bool)
    if not isinstance(region, np.ndarray) or region.dtype != bool:
        found = getattr(region, 'dtype', type(region).__name__)
        raise MattingError(f'region: expected a bool array, got {found}')
    if region.shape != pred.shape:
        raise MattingError(f"region: expected the alphas' shape {shape}, got {list(region.shape)}")
    if not region.any():
        raise MattingError('region: expected at least one pixel that counts, got none')
    return pred, true, region


def _check_alpha(alpha: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(alpha, np.ndarray) or not np.issubdtype(alpha.dtype, np.floating):
        found = getattr(alpha, 'dtype', type(alpha).__name__)
        raise MattingError(f'{name}: expected a floating-point array, got {found}')
    if alpha.ndim != 2 or not alpha.size:
        raise MattingError(f'{name}: expected shape [H, W], got {list(alpha.shape)}')
    alpha = alpha.astype(np.float64)
    low, high = float(alpha.min()), float(alpha.max())
    # Written so that NaN fails too.
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise MattingError(f'{name}: expected values in [0, 1], got values from {low} to {high}')
    return np.clip(alpha, 0, 1)


def _gradient(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives down and across, [H, W] each: Gaussian of sum 1, border replicated."""

    def derive(order: tuple[int, int]) -> np.ndarray:
        return ndimage.gaussian_filter(values, _SIGMA, order, mode='nearest', radius=_RADIUS)

    return derive((1, 0)), derive((0, 1))


def _stretch(alpha: np.ndarray) -> np.ndarray:
    """Lowest → 0, highest → 1; a constant alpha stays, its gradient is 0 in any case."""
    low, high = alpha.min(), alpha.max()
    return (alpha - low) / (high - low) if high > low else alpha


def _largest_component(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    return labels == 1 + sizes[1:].argmax()
