"""Trimaps of known alphas: foreground, background, and the unknown region between them."""

from __future__ import annotations

import cv2
import numpy as np

from mattingjax.errors import MattingError

# Alphas that round to 0 or 255 in 8 bits count as fully transparent or opaque.
LOWEST, HIGHEST = 0.5 / 255, 254.5 / 255

# The ranges that `random_trimap` draws from, both ends included; MODNet's at 512×512.
KERNEL_SIZES = (2, 4)
ITERATIONS = (5, 14)

_TOLERANCE = 1e-6  # rounding errors by which an alpha may exceed [0, 1]


def make_trimap(alpha: np.ndarray, kernel_size: int, iterations: int) -> np.ndarray:
    """Makes a trimap by repeated erosion and dilation of an alpha with an elliptic kernel.

    A kernel of even size has no centre pixel: with 2 pixels the unknown region grows inwards at the
    person's upper and left side and outwards at the lower and right side.

    Args:
      alpha: float32 [H, W] in [0, 1].
      kernel_size: Diameter of the kernel in pixels, at least 1.
      iterations: Number of erosions and of dilations, at least 1.

    Returns:
      float32 [H, W]: 1 where the eroded alpha is over 254.5 / 255, 0 where the dilated one is under
      0.5 / 255, exactly 0.5 elsewhere.

    Raises:
      MattingError: The alpha has another type, shape or range, or a number is less than 1.

    References:
      Ke et al., MODNet (https://arxiv.org/abs/2011.11961); thresholds as in its training code.
    """
    _check_alpha(alpha)
    _check_count(kernel_size, 'kernel_size')
    _check_count(iterations, 'iterations')
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (kernel_size, kernel_size))
    # Thresholding first gives the same result as thresholding last, and is faster in 8 bits.
    opaque = cv2.erode((alpha > HIGHEST).astype(np.uint8), kernel, iterations=iterations)
    visible = cv2.dilate((alpha >= LOWEST).astype(np.uint8), kernel, iterations=iterations)
    return (opaque + visible).astype(np.float32) / 2


def random_trimap(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Makes a random trimap as MODNet's training does.

    Args:
      alpha: float32 [H, W] in [0, 1], at the network's input size.
      rng: Draws the kernel size, 2 to 4 pixels, and the number of iterations, 5 to 14, uniformly.

    Returns:
      float32 [H, W] of 0, 0.5 and 1, as `make_trimap` returns it.

    Raises:
      MattingError: The alpha has another type, shape or range.
    """
    kernel_size = int(rng.integers(*KERNEL_SIZES, endpoint=True))
    iterations = int(rng.integers(*ITERATIONS, endpoint=True))
    return make_trimap(alpha, kernel_size, iterations)


def _check_alpha(alpha: np.ndarray) -> None:
    if not isinstance(alpha, np.ndarray) or alpha.dtype != np.float32:
        found = getattr(alpha, 'dtype', type(alpha).__name__)
        raise MattingError(f'alpha: expected a float32 array, got {found}')
    if alpha.ndim != 2 or not alpha.size:
        raise MattingError(f'alpha: expected shape [H, W], got {list(alpha.shape)}')
    low, high = float(alpha.min()), float(alpha.max())
    # Written so that NaN fails too.
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise MattingError(f'alpha: expected values in [0, 1], got values from {low} to {high}')


def _check_count(value: int, name: str) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise MattingError(f'{name}: expected a whole number, at least 1, got {value!r}')
