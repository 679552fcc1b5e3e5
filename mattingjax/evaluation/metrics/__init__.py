"""The metrics of matting papers: how far a predicted alpha is from the true one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mattingjax.errors import MattingError
from mattingjax.evaluation.metrics.error_maps import METRICS, TOLERANCE


def mad(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, *, region: np.ndarray | None = None
) -> float:
    """Mean absolute difference.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count, such as a trimap's unknown region; all if None.

    Returns:
      The mean over the pixels, in [0, 1]. MMNet's paper reports it in hundredths, others in
      thousandths.

    Raises:
      MattingError: An array has another type, shape or range, or the region is empty.
    """
    return _measure('mad', pred_alpha, true_alpha, region)


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
    return _measure('mse', pred_alpha, true_alpha, region)


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
    return _measure('sad', pred_alpha, true_alpha, region)


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
    return _measure('gradient', pred_alpha, true_alpha, region)


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
    return _measure('mean_gradient', pred_alpha, true_alpha, region)


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
    return _measure('connectivity', pred_alpha, true_alpha, region)


def compute_metrics(
    pred_alpha: np.ndarray,
    true_alpha: np.ndarray,
    *,
    region: np.ndarray | None = None,
    metrics: Iterable[str] | None = None,
) -> dict[str, float]:
    """Computes several metrics of one alpha.

    Args:
      pred_alpha: float [H, W] in [0, 1]; for 'mean_gradient' H and W at least 9.
      true_alpha: float [H, W] in [0, 1].
      region: bool [H, W], the pixels that count; all if None.
      metrics: Names from `METRICS`; all of them if None.

    Returns:
      Name → value: a mean for 'mad', 'mse' and 'mean_gradient', a sum in thousands for 'sad',
      'gradient' and 'connectivity'.

    Raises:
      MattingError: There is no such metric, an array has another type, shape or range, or no pixel
        counts.
    """
    names = check_metrics(metrics)
    pred, true, counted = _check(pred_alpha, true_alpha, region)
    return {
        name: METRICS[name].reduce(METRICS[name].error_map(pred, true), counted) for name in names
    }


def compute_region_metrics(
    pred_alpha: np.ndarray,
    true_alpha: np.ndarray,
    regions: Mapping[str, np.ndarray | None],
    metrics: Iterable[str] | None = None,
) -> dict[str, dict[str, float]]:
    """Computes several metrics of one alpha in several regions, in the time that one region takes.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].
      regions: Name → bool [H, W], the pixels that count, which may be none; all if None.
      metrics: Names from `METRICS`; all of them if None.

    Returns:
      Name of each region → name of each metric → its value; NaN where no pixel counts.

    Raises:
      MattingError: There is no such metric, or an array has another type, shape or range.
    """
    names = check_metrics(metrics)
    pred, true, _ = _check(pred_alpha, true_alpha, None)
    counted = {name: _check_region(region, pred.shape) for name, region in regions.items()}
    values: dict[str, dict[str, float]] = {name: {} for name in regions}
    for name in names:
        metric = METRICS[name]
        errors = metric.error_map(pred, true)
        for region, mask in counted.items():
            any_counts = metric.inner(mask).any()
            values[region][name] = metric.reduce(errors, mask) if any_counts else np.nan
    return values


def check_metrics(names: Iterable[str] | None) -> tuple[str, ...]:
    """Checks names of metrics; raises MattingError unless they are some of `METRICS`.

    Args:
      names: The names; None means all metrics.
    """
    if names is not None and not isinstance(names, Iterable):
        raise MattingError(f'metrics: expected some of {", ".join(METRICS)}, got {names!r}')
    chosen = tuple(METRICS) if names is None else tuple(names)
    unknown = [name for name in chosen if not isinstance(name, str) or name not in METRICS]
    if unknown or not chosen:
        found = repr(unknown[0]) if unknown else 'none'
        raise MattingError(f'metrics: expected some of {", ".join(METRICS)}, got {found}')
    return chosen


def _measure(
    name: str, pred_alpha: np.ndarray, true_alpha: np.ndarray, region: np.ndarray | None
) -> float:
    return compute_metrics(pred_alpha, true_alpha, region=region, metrics=(name,))[name]


def _check(
    pred_alpha: np.ndarray, true_alpha: np.ndarray, region: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns both alphas as float64, and the region; raises MattingError unless they match."""
    pred = check_alpha(pred_alpha, 'pred_alpha')
    true = check_alpha(true_alpha, 'true_alpha')
    shape = list(pred.shape)
    if true.shape != pred.shape:
        raise MattingError(
            f"true_alpha: expected pred_alpha's shape {shape}, got {list(true.shape)}"
        )
    counted = _check_region(region, pred.shape)
    if not counted.any():
        raise MattingError('region: expected at least one pixel that counts, got none')
    return pred, true, counted


def _check_region(region: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the region, every pixel if None; raises MattingError for another type or shape."""
    if region is None:
        return np.ones(shape, bool)
    if not isinstance(region, np.ndarray) or region.dtype != bool:
        found = getattr(region, 'dtype', type(region).__name__)
        raise MattingError(f'region: expected a bool array, got {found}')
    if region.shape != shape:
        raise MattingError(
            f"region: expected the alphas' shape {list(shape)}, got {list(region.shape)}"
        )
    return region


def check_alpha(alpha: np.ndarray, name: str) -> np.ndarray:
    """Converts an alpha to float64 in [0, 1].

    Args:
      alpha: float [H, W] in [0, 1].
      name: The name of the argument, for the error message.

    Raises:
      MattingError: The alpha has another type, shape or range.
    """
    if not isinstance(alpha, np.ndarray) or not np.issubdtype(alpha.dtype, np.floating):
        found = getattr(alpha, 'dtype', type(alpha).__name__)
        raise MattingError(f'{name}: expected a floating-point array, got {found}')
    if alpha.ndim != 2 or not alpha.size:
        raise MattingError(f'{name}: expected shape [H, W], got {list(alpha.shape)}')
    alpha = alpha.astype(np.float64)
    low, high = float(alpha.min()), float(alpha.max())
    # Written so that NaN fails too.
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise MattingError(f'{name}: expected values in [0, 1], got values from {low} to {high}')
    return np.clip(alpha, 0, 1)
