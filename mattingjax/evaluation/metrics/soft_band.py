"""The soft band: hair and other borders, where an alpha is neither 0 nor 1, and what is near them.

Most of a photo is plainly person or background, so the mean over all pixels says little of hair.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from mattingjax.evaluation.metrics import check_alpha, mad

LOWEST, HIGHEST = 0.03, 0.97  # the true alphas that are soft, both ends included
RADIUS = 5  # in pixels


def soft_band(true_alpha: np.ndarray) -> np.ndarray:
    """Finds the soft band of a true alpha.

    It is made of the pixels whose true alpha lies in [0.03, 0.97] and of those at most 5 pixels
    from one of them, in a straight line (a disc). A mask of 0 and 1 has no soft band.

    Args:
      true_alpha: float [H, W] in [0, 1].

    Returns:
      bool [H, W], which metrics take as `region`.

    Raises:
      MattingError: The alpha has another type, shape or range.
    """
    alpha = check_alpha(true_alpha, 'true_alpha')
    offsets = np.arange(-RADIUS, RADIUS + 1)
    disc = np.square(offsets)[:, None] + np.square(offsets) <= RADIUS**2
    soft = (alpha >= LOWEST) & (alpha <= HIGHEST)
    return cv2.dilate(soft.astype(np.uint8), disc.astype(np.uint8)) > 0


def mad_soft(pred_alpha: np.ndarray, true_alpha: np.ndarray) -> float:
    """Mean absolute difference in the soft band.

    Args:
      pred_alpha: float [H, W] in [0, 1].
      true_alpha: float [H, W] in [0, 1].

    Returns:
      The mean over the pixels of `soft_band`, in [0, 1]; NaN if the true alpha has none.

    Raises:
      MattingError: An array has another type, shape or range.
    """
    band = soft_band(true_alpha)
    return mad(pred_alpha, true_alpha, region=band) if band.any() else math.nan
