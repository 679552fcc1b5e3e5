"""Recomposition: the person of a photo before a random background, in another light."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from mattingjax.data.degradations import ColourJitter, LightGradient
from mattingjax.data.records import Dataset, Record
from mattingjax.errors import MattingError
from mattingjax.images import resize
from mattingjax.images.compositing import composite, to_uint8

# How the light on the person is varied.
JITTER = ColourJitter(
    hue=0.01, saturation=0.2, gain=0.06, brightness=0.15, contrast=0.15, gamma=0.15
)
LIGHT = LightGradient(0.2)
PART = (0.5, 1.0)  # how large a part of a background is, of the largest one of that shape
MIRRORED, BLURRED = 0.5, 0.5  # how often a background is mirrored, and how often it is blurred


@dataclasses.dataclass(frozen=True)
class Recompose:
    """Puts the person before a random part of a random background.

    A cut-out (a record without an image) always gets a background, a photo with the given
    probability. A photo without an alpha stays as it is. Foreground colours that the record does
    not know are estimated by `blur_fusion`.

    Attributes:
      backgrounds: Records with an `image`, at least one.
      probability: The probability that a photo gets a new background, in [0, 1].
      blur: The largest standard deviation of the background's defocus blur, as a share of the
        shorter side. Half of the backgrounds, chosen at random, stay sharp.
      relight: Whether the light on the person is varied a little, independently of the
        background's.
    """

    backgrounds: Dataset
    probability: float = 0.5
    blur: float = 0.015
    relight: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise MattingError(f'recomposition: expected 0 to 1, got {self.probability}')
        if not len(self.backgrounds):
            raise MattingError('backgrounds: expected at least one picture, got none')

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        wanted = rng.random() < self.probability
        if 'image' in record and not (wanted and 'alpha' in record):
            return record
        alpha = record['alpha']
        person = {'image': self._foreground(record)}
        if self.relight:
            person = LIGHT(JITTER(person, rng), rng)
        background = self._background(alpha.shape, rng)
        changed = {name: value for name, value in record.items() if name != 'foreground'}
        return changed | {'image': composite(person['image'], alpha, background)}

    def _foreground(self, record: Record) -> np.ndarray:
        if 'foreground' in record:
            return record['foreground']
        return blur_fusion(record['image'], record['alpha'])

    def _background(self, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        height, width = size
        image = self.backgrounds[int(rng.integers(len(self.backgrounds)))]['image']
        rows, columns = image.shape[:2]
        scale = min(rows / height, columns / width) * rng.uniform(*PART)
        tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
        top = rng.integers(rows - tall, endpoint=True)
        left = rng.integers(columns - wide, endpoint=True)
        part = resize(image[top : top + tall, left : left + wide], height, width, cv2.INTER_AREA)
        if rng.random() < MIRRORED:
            part = cv2.flip(part, 1)
        if rng.random() < BLURRED:
            sigma = max(0.1, rng.uniform(0, self.blur) * min(height, width))
            part = cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        return part


def blur_fusion(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Estimates the foreground colours from local means, in a few milliseconds.

    Foreground and background are first means over wide windows, weighted by alpha and 1 − alpha,
    then means of these over narrow windows. After each step the foreground is corrected by the
    difference between the photo and the composite of the two. The means are taken at half the
    size, the last correction at full size.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].

    Returns:
      uint8 [H, W, 3].

    References:
      Forte, Approximate Fast Foreground Colour Estimation, ICIP 2021
      (https://doi.org/10.1109/ICIP42928.2021.9506164).
    """
    height, width = alpha.shape
    photo = image.astype(np.float32) / 255
    half_photo, half_alpha = (
        resize(picture, (height + 1) // 2, (width + 1) // 2) for picture in (photo, alpha)
    )
    # Windows of 90 and 6 pixels, as published, at 512 pixels a side.
    wide, narrow = max(3, round(45 / 512 * min(height, width))), 3
    foreground, background = _weighted_means(half_photo, half_photo, half_alpha, wide)
    corrected = _correct(foreground, background, half_photo, half_alpha)
    foreground, background = _weighted_means(corrected, background, half_alpha, narrow)
    foreground, background = (
        resize(colours, height, width, cv2.INTER_LINEAR) for colours in (foreground, background)
    )
    return to_uint8(_correct(foreground, background, photo, alpha))


def _weighted_means(
    foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means over a square window, weighted by alpha and 1 − alpha: float32 [H, W, 3] each."""

    def mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        total = cv2.blur(weight, (window, window))[..., None]
        return cv2.blur(values * weight[..., None], (window, window)) / (total + 1e-5)

    return mean(foreground, alpha), mean(background, 1 - alpha)


def _correct(
    foreground: np.ndarray, background: np.ndarray, photo: np.ndarray, alpha: np.ndarray
) -> np.ndarray:
    weight = alpha[..., None]
    missing = photo - weight * foreground - (1 - weight) * background
    return np.clip(foreground + weight * missing, 0, 1)
