"""Edges at the photo's own resolution, which a network that sees it at 320 pixels cannot draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from mattingjax.errors import ImageError, MattingError
from mattingjax.images import check_alpha, check_image, resize

LOWEST, HIGHEST = 0.03, 0.97  # the alphas of the network that are soft, both ends included
REACH = 2  # how far the band reaches beyond them; this and all radii are in the network's pixels

_COLOUR_RADIUS = 4  # of the window whose colours tell foreground from background
_DOUBT_RADIUS = 3  # of the window in which the network's alpha is judged
_NOISE = 4e-4  # variance of a photo's noise, colours in [0, 1]
_LEAST_WEIGHT = 0.02  # mean weight of a side's colours, below which they say little
_DOUBT = 0.25  # variance of an alpha of 0.5 of which the network is not sure
_WIDE = 0.25, 0.55  # mean of 4 · alpha · (1 − alpha) about crisp edges, and in hair
_WRONG = 0.02, 0.1  # difference of mean alphas that is chance, and that is none
_COARSE = 2, 4  # photo's pixels per network pixel where crisp edges begin to look blurred, and do
_CHUNK = 2**20  # pixels of the band that are in memory at a time


class _Evidence(NamedTuple):
    """What the colours say: alpha = direction · colour + offset, with this precision.

    Attributes:
      direction: [h, w, 3].
      offset: [h, w].
      precision: 1 / variance, [h, w]; 0 where they say nothing.
    """

    direction: np.ndarray
    offset: np.ndarray
    precision: np.ndarray


def refine_alpha(image: np.ndarray, alpha: np.ndarray, network_size: tuple[int, int]) -> np.ndarray:
    """Draws the edges of a network's alpha anew from the photo's own pixels.

    About every pixel of the network's size the colours of foreground and background are taken for
    a Gaussian each, weighed by the alpha. Fisher's linear discriminant of the two makes an alpha of
    the colour of each of the photo's pixels, with a variance that follows from the Gaussians. It is
    combined with the network's alpha, the prior, by their variances. The prior's is large in hair,
    where the colours contradict the network over several of its pixels, and everywhere if the photo
    has several pixels for one of the network's; a crisp edge of a smaller photo stays as it is.

    Only the band changes: the pixels where the alpha is neither 0 nor 1, no further than two of the
    network's pixels from one where it is in [0.03, 0.97]. Time and memory grow with the band, all
    of which is computed at the photo's resolution, however large that is.

    Args:
      image: The photo, uint8 [H, W, 3].
      alpha: The network's alpha, resized to the photo, floating point [H, W] in [0, 1].
      network_size: Height and width in pixels at which the network saw the photo.

    Returns:
      float32 [H, W] in [0, 1].

    Raises:
      ImageError: An array has another type, shape or range.
      MattingError: The network's size is none.

    References:
      Chuang et al., A Bayesian Approach to Digital Matting, CVPR 2001, for Gaussian colours and the
      combination of probabilities; Fisher, The Use of Multiple Measurements in Taxonomic Problems,
      1936; He and Sun, Fast Guided Filter (https://arxiv.org/abs/1505.00996), for linear
      coefficients that are computed small and applied large.
    """
    _check(image, alpha, network_size)
    refined = alpha.astype(np.float32)
    small_size = [min(sides) for sides in zip(network_size, alpha.shape, strict=True)]
    small_alpha = np.clip(resize(refined, *small_size), 0, 1)
    small_image = resize(image, *small_size).astype(np.float32) / 255
    # Of a photo smaller than the network's input, a network's pixel is a part of a pixel.
    scale = [small / side for small, side in zip(small_size, network_size, strict=True)]
    band = _find_band(small_alpha, scale)
    if not band.any():
        return refined
    evidence = _weigh_colours(small_image, small_alpha, _dilate(band, (1, 1)), scale)
    coarseness = max(full / side for full, side in zip(alpha.shape, network_size, strict=True))
    doubt = _doubt(small_image, small_alpha, evidence, scale)
    doubt = np.maximum(doubt, _ramp(coarseness, *_COARSE))
    evidence = evidence._replace(precision=evidence.precision * doubt)
    _apply(refined, image, evidence, band)
    return refined


def _check(image: np.ndarray, alpha: np.ndarray, network_size: tuple[int, int]) -> None:
    check_image(image)
    check_alpha(alpha, image)
    if not (alpha.min() >= 0 and alpha.max() <= 1):  # so that NaN fails too
        raise ImageError(
            f'alpha: expected values in [0, 1], got values from {alpha.min()} to {alpha.max()}'
        )
    if len(network_size) != 2 or min(network_size) < 1:
        raise MattingError(
            f'network_size: expected height and width in pixels, at least 1, got {network_size!r}'
        )


def _find_band(alpha: np.ndarray, scale: Sequence[float]) -> np.ndarray:
    return _dilate((alpha >= LOWEST) & (alpha <= HIGHEST), _radii(REACH, scale))


def _dilate(mask: np.ndarray, radii: tuple[int, int]) -> np.ndarray:
    sides = [2 * radius + 1 for radius in radii]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, sides[::-1])
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def _radii(radius: float, scale: Sequence[float]) -> tuple[int, int]:
    """Converts a radius in the network's pixels to rows and columns, at least 1."""
    rows, columns = (max(1, round(radius * each)) for each in scale)
    return rows, columns


def _mean(values: np.ndarray, radius: float, scale: Sequence[float]) -> np.ndarray:
    """The mean in a window about each pixel."""
    rows, columns = _radii(radius, scale)
    return cv2.blur(values, (2 * columns + 1, 2 * rows + 1), borderType=cv2.BORDER_REPLICATE)


def _ramp(values: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high`, straight between them."""
    return np.clip((values - low) / (high - low), 0, 1)


def _weigh_colours(
    image: np.ndarray, alpha: np.ndarray, where: np.ndarray, scale: Sequence[float]
) -> _Evidence:
    """Finds the linear discriminant of foreground and background colours about each pixel.

    Args:
      image: float32 [h, w, 3] in [0, 1].
      alpha: float32 [h, w] in [0, 1].
      where: bool [h, w]; elsewhere the precision is 0.
      scale: Pixels per network pixel, down and across.
    """
    foreground, foreground_covariance, some = _fit(image, alpha**2, where, scale)
    background, background_covariance, others = _fit(image, (1 - alpha) ** 2, where, scale)
    covariance = (foreground_covariance + background_covariance) / 2 + _NOISE * np.eye(3)
    difference = foreground - background
    normal = np.linalg.solve(covariance, difference[..., None])[..., 0]
    separation = (normal * difference).sum(-1)  # the squared Mahalanobis distance
    normal /= np.maximum(separation, 1e-6)[:, None]
    least = np.minimum(some, others)
    evidence = _Evidence(*(np.zeros((*alpha.shape, *end), np.float32) for end in ((3,), (), ())))
    evidence.direction[where] = normal
    evidence.offset[where] = -(normal * background).sum(-1)
    evidence.precision[where] = separation * least / (least + _LEAST_WEIGHT)
    return evidence


def _fit(
    image: np.ndarray, weight: np.ndarray, where: np.ndarray, scale: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [n, 3] and covariance [n, 3, 3] of weighted colours, and the mean weight [n]."""
    squares = image[..., :, None] * image[..., None, :]
    planes = np.dstack([np.ones_like(weight), image, squares.reshape(*weight.shape, 9)])
    sums = _mean(planes * weight[..., None], _COLOUR_RADIUS, scale)[where].astype(np.float64)
    total = sums[:, 0]
    sums = sums[:, 1:] / (total[:, None] + 1e-4)
    mean = sums[:, :3]
    covariance = sums[:, 3:].reshape(-1, 3, 3) - mean[:, :, None] * mean[:, None, :]
    return mean, covariance, total


def _doubt(
    image: np.ndarray,
    alpha: np.ndarray,
    evidence: _Evidence,
    scale: Sequence[float],
) -> np.ndarray:
    """How uncertain the network's alpha is by its looks and the colours, [h, w] in [0, 1]."""
    from_colours = np.clip((evidence.direction * image).sum(-1) + evidence.offset, 0, 1)
    wide = _ramp(_mean(4 * alpha * (1 - alpha), _DOUBT_RADIUS, scale), *_WIDE)
    change = np.where(evidence.precision > 0, from_colours - alpha, 0)
    wrong = _ramp(np.abs(_mean(change, _DOUBT_RADIUS, scale)), *_WRONG)
    return np.maximum(wide, wrong)


def _apply(alpha: np.ndarray, image: np.ndarray, evidence: _Evidence, band: np.ndarray) -> None:
    """Combines the alpha of each pixel in the band, at full size, with the evidence; in place."""
    (height, width), (rows, columns) = alpha.shape, band.shape
    full = cv2.resize(band.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    full *= (alpha > 0) & (alpha < 1)
    indices = np.flatnonzero(full)
    planes = np.moveaxis(np.dstack(evidence), -1, 0)
    for start in range(0, len(indices), _CHUNK):
        y, x = np.divmod(indices[start : start + _CHUNK], width)
        places = [(y + 0.5) * rows / height - 0.5, (x + 0.5) * columns / width - 0.5]
        *direction, offset, precision = (
            ndimage.map_coordinates(plane, places, order=1, mode='nearest') for plane in planes
        )
        colours = image[y, x].T.astype(np.float32) / 255
        from_colours = np.clip((np.stack(direction) * colours).sum(0) + offset, 0, 1)
        prior = alpha[y, x]
        ratio = _DOUBT * 4 * prior * (1 - prior) * precision  # of the prior's variance to theirs
        alpha[y, x] = prior + ratio / (1 + ratio) * (from_colours - prior)
