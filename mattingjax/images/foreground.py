"""Foreground colours: those of the person alone where a photo mixes them with the background."""

from __future__ import annotations

import cv2
import numpy as np

from mattingjax.images import as_alpha, as_image, resize
from mattingjax.images.decoding import Array, Source

# Nearer to 0 or 1 than half a level of 8 bits, an alpha is taken for that.
_TRANSPARENT, _OPAQUE = 0.5 / 255, 1 - 0.5 / 255
_COARSEST = 8  # and of the coarsest
_SMALL, _PASSES = 64, 10  # levels of up to 64 pixels a side are gone through ten times
_WINDOW = (3, 3)
_LEAST_WEIGHT = 1e-3  # a window without foreground keeps the colour of the coarser level
_MOSAIC = 128  # squares along the longer side of what is transparent
_ROWS = 256  # of the photo, corrected at a time: all of them would take much memory
_LINE = 1024  # pixels


def estimate_foreground(image: Source, alpha: Array, *, finest: int = 1536) -> np.ndarray:
    """Estimates the foreground colours, which a photo mixes with the background in hair and edges.

    From level to level of a pyramid, coarse to fine, foreground and background are corrected to
    those nearest colours that mix to the photo's, and then averaged over 3×3 pixels, weighted by
    the squares of alpha and 1 − alpha. Levels end at a longer side of `finest` pixels; at the
    photo's own size, colours are corrected once more, only where alpha is soft.

    Where alpha is 1, the colours are the photo's. Where it is 0, they go on from the nearest
    foreground in squares of one colour, a 128th of the longer side large: a picture that is resized
    with its transparency gets no foreign colours at its edges, and a PNG is hardly larger than with
    a single colour.

    Args:
      image: uint8 [H, W, 3], or anything else that `load_image` takes.
      alpha: float32 [H, W] in [0, 1].
      finest: The longer side of the finest level in pixels; fewer take less time. An alpha that a
        network made at a smaller size than the photo's has no detail beyond its own.

    Returns:
      uint8 [H, W, 3].

    Raises:
      ImageError: An array has another type or shape.

    References:
      Weighted means and a correction are those of Forte, Approximate Fast Foreground Colour
      Estimation, ICIP 2021 (https://doi.org/10.1109/ICIP42928.2021.9506164), who corrects the
      foreground alone and by less; levels are those of Germer et al., Fast Multi-Level Foreground
      Estimation (https://arxiv.org/abs/2006.14970).
    """
    image = np.ascontiguousarray(as_image(image))
    alpha = np.ascontiguousarray(as_alpha(alpha, image), np.float32)
    foreground, background = _estimate_coarse(image, alpha, finest)
    colours = _draw_mosaic(foreground, *alpha.shape)
    cv2.copyTo(image, (alpha > _OPAQUE).view(np.uint8), colours)
    for top in range(0, len(image), _ROWS):
        part = alpha[top : top + _ROWS]
        y, x = np.nonzero((part >= _TRANSPARENT) & (part <= _OPAQUE))
        y += top
        if len(y):
            near = _sample(foreground, y, x, alpha.shape), _sample(background, y, x, alpha.shape)
            corrected, _ = _correct(*near, image[y, x].T.astype(np.float32), alpha[y, x])
            colours[y, x] = np.rint(corrected.T)
    return colours


def _estimate_coarse(
    image: np.ndarray, alpha: np.ndarray, finest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Foreground and background at the finest level, float32 [3, h, w] in [0, 255]."""
    scale = min(1, finest / max(alpha.shape))
    height, width = (max(1, round(scale * side)) for side in alpha.shape)
    photo = np.stack(cv2.split(resize(image, height, width))).astype(np.float32)
    levels = [(photo, resize(alpha, height, width))]
    while max(height, width) > _COARSEST:
        height, width = (height + 1) // 2, (width + 1) // 2
        photo, alpha = levels[-1]
        levels.append((_resize(photo, height, width), resize(alpha, height, width)))
    photo, alpha = levels[0]
    foreground, background = _mean(photo, alpha), _mean(photo, 1 - alpha)
    for photo, alpha in reversed(levels):
        foreground, background = (
            _resize(planes, *alpha.shape) for planes in (foreground, background)
        )
        for _ in range(_PASSES if max(alpha.shape) <= _SMALL else 1):
            foreground, background = _correct(foreground, background, photo, alpha)
            foreground = _average(foreground, alpha**2)
            background = _average(background, (1 - alpha) ** 2)
    return foreground, background


def _mean(planes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean of all pixels, weighted by the square: float32 [3, 1, 1]."""
    weight = weight**2 + np.float32(1e-9)  # for a photo without any
    return np.sum(planes * weight, axis=(1, 2), keepdims=True) / np.sum(weight)


def _correct(
    foreground: np.ndarray, background: np.ndarray, photo: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest pair of colours that mixes to the photo's, but for clipping: [3, ...] each."""
    rest = 1 - alpha
    missing = photo - alpha * foreground - rest * background
    missing /= alpha**2 + rest**2
    foreground, background = foreground + alpha * missing, background + rest * missing
    return np.clip(foreground, 0, 255, out=foreground), np.clip(background, 0, 255, out=background)


def _average(planes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weight = weight + np.float32(_LEAST_WEIGHT)
    total = cv2.blur(weight, _WINDOW)
    return np.stack([cv2.blur(plane * weight, _WINDOW) / total for plane in planes])


def _resize(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.stack([resize(plane, height, width, cv2.INTER_LINEAR) for plane in planes])


def _sample(planes: np.ndarray, y: np.ndarray, x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The colours of pixels of a picture of another size, interpolated: float32 [3, N]."""
    count = len(y)
    lines = -(-count // _LINE), _LINE  # OpenCV takes no picture with a side of 32768 or more
    y, x = (
        np.resize(((at + 0.5) * (small / large) - 0.5).astype(np.float32), lines)
        for at, small, large in zip((y, x), planes.shape[1:], size, strict=True)
    )
    found = [
        cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for plane in planes
    ]
    return np.reshape(found, (len(planes), -1))[:, :count]


def _draw_mosaic(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Draws colours in squares: uint8 [height, width, 3]."""
    scale = min(1, _MOSAIC / max(planes.shape[1:]))
    rows, columns = (max(1, round(scale * side)) for side in planes.shape[1:])
    squares = np.rint(np.dstack(list(_resize(planes, rows, columns)))).astype(np.uint8)
    return cv2.resize(squares, (width, height), interpolation=cv2.INTER_NEAREST)
