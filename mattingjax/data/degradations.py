"""Degradations of photos by light, lens, sensor and compression; only blur changes the alpha."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np

from mattingjax.data.records import Record
from mattingjax.errors import MattingError

LUMA = np.array([0.299, 0.587, 0.114])
_LEVELS = np.arange(256) / 255
# The sRGB curve by 8-bit value: the linear light in [0, 1], and the slope there.
_DARK = _LEVELS <= 0.04045  # where the curve is linear
LINEAR = np.where(_DARK, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
SLOPE = np.where(_DARK, 12.92, 1.055 / 2.4 * np.maximum(LINEAR, 1e-3) ** (1 / 2.4 - 1))
# The logarithm of the read noise is normally distributed: `READ[0]` · log shot + `READ[1]` is its
# mean, `READ[2]` its standard deviation.
READ = (2.18, 1.20, 0.26)


@dataclasses.dataclass(frozen=True)
class ColourJitter:
    """Changes the colours of all pixels by one matrix, then by one curve per channel.

    All changes are drawn uniformly.

    Attributes:
      hue: The largest rotation about the grey axis, as a share of the full circle.
      saturation: The distance to grey is multiplied by 1 − saturation to 1 + saturation.
      gain: Each channel is multiplied by 1 − gain to 1 + gain, which changes the white balance.
      brightness: All channels are multiplied by 1 − brightness to 1 + brightness.
      contrast: The distance to mid-grey is multiplied by 1 − contrast to 1 + contrast.
      gamma: The exponent is 1 / (1 + gamma) to 1 + gamma, its logarithm drawn uniformly.
    """

    hue: float = 0.02
    saturation: float = 0.3
    gain: float = 0.08
    brightness: float = 0.2
    contrast: float = 0.2
    gamma: float = 0.25

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        turn = 2 * math.pi * rng.uniform(-self.hue, self.hue)
        saturation = 1 + rng.uniform(-self.saturation, self.saturation)
        gain = 1 + rng.uniform(-self.gain, self.gain, 3)
        gain = gain * (1 + rng.uniform(-self.brightness, self.brightness))
        contrast = 1 + rng.uniform(-self.contrast, self.contrast)
        gamma = (1 + self.gamma) ** rng.uniform(-1, 1)

        matrix = _turn_hue(turn) @ (
            saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), LUMA)
        )
        curves = (_LEVELS[:, None] * gain - 0.5) * contrast + 0.5
        table = np.round(np.clip(curves, 0, 1) ** gamma * 255).astype(np.uint8)
        return _change(record, lambda image: cv2.LUT(cv2.transform(image, matrix), table[None]))


@dataclasses.dataclass(frozen=True)
class LightGradient:
    """Multiplies the colours by a linear gradient of light, in a random direction.

    Attributes:
      strength: The largest change of the factor between the centre, where it is 1, and a side.
    """

    strength: float = 0.2

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        angle = rng.uniform(0, 2 * math.pi)
        strength = rng.uniform(0, self.strength)

        def light(image: np.ndarray) -> np.ndarray:
            height, width = image.shape[:2]
            down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * math.sin(angle)
            across = np.linspace(-1, 1, width, dtype=np.float32) * math.cos(angle)
            factor = 1 + strength * (down + across)
            return cv2.multiply(image, cv2.merge([factor] * 3), dtype=cv2.CV_8U)

        return _change(record, light)


@dataclasses.dataclass(frozen=True)
class DefocusBlur:
    """Blurs the photo and its true alpha with a Gaussian.

    Attributes:
      sigma: The largest standard deviation, as a share of the shorter side.
    """

    sigma: float = 0.005

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        share = rng.uniform(0, self.sigma)

        def blur(picture: np.ndarray) -> np.ndarray:
            sigma = max(0.1, share * min(picture.shape[:2]))
            return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)

        return _change(record, blur, with_alpha=True)


@dataclasses.dataclass(frozen=True)
class MotionBlur:
    """Blurs the photo and its true alpha along a straight line, as a moving camera does.

    Attributes:
      length: The largest length of the line, as a share of the shorter side.
    """

    length: float = 0.03

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        share = rng.uniform(0, self.length)
        angle = rng.uniform(0, math.pi)

        def blur(picture: np.ndarray) -> np.ndarray:
            kernel = _line(share * min(picture.shape[:2]), angle)
            return cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT)

        return _change(record, blur, with_alpha=True)


@dataclasses.dataclass(frozen=True)
class CameraNoise:
    """Adds the shot and read noise of a sensor.

    In linear light x in [0, 1] the variance is shot · x + read. It is converted to sRGB values to
    first order: the standard deviation is multiplied by the slope of the sRGB curve.

    Attributes:
      shot: Range of the shot noise, whose logarithm is drawn uniformly. The read noise follows from
        it as in real cameras, by `READ`.

    References:
      Brooks et al., Unprocessing Images for Learned Raw Denoising
      (https://arxiv.org/abs/1811.11127), section 3.1.
    """

    shot: tuple[float, float] = (1e-4, 4e-3)

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        log_shot = rng.uniform(*np.log(self.shot))
        read = math.exp(READ[0] * log_shot + READ[1] + rng.normal(0, READ[2]))
        deviation = 255 * np.sqrt(math.exp(log_shot) * LINEAR + read) * SLOPE
        table = deviation.astype(np.float32)

        def add_noise(image: np.ndarray) -> np.ndarray:
            noise = rng.standard_normal(image.shape, np.float32) * table[image]
            return cv2.add(image, noise, dtype=cv2.CV_8U)

        return _change(record, add_noise)


@dataclasses.dataclass(frozen=True)
class JpegCompression:
    """Compresses the photo as JPEG and decodes it again.

    Attributes:
      quality: Range of the JPEG quality, within 1 to 100, both ends included.
    """

    quality: tuple[int, int] = (40, 95)

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        options = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*self.quality, endpoint=True))]

        def compress(image: np.ndarray) -> np.ndarray:
            _, content = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
            decoded = cv2.imdecode(content, cv2.IMREAD_COLOR)
            assert decoded is not None
            return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)

        return _change(record, compress)


def _change(
    record: Record, function: Callable[[np.ndarray], np.ndarray], with_alpha: bool = False
) -> Record:
    """Applies a function to the image, after which the true foreground is no longer known."""
    if 'image' not in record:
        raise MattingError(f'{record.get("name", "record")}: a cut-out needs a background first')
    changed = {name: value for name, value in record.items() if name != 'foreground'}
    changed['image'] = function(record['image'])
    if with_alpha and 'alpha' in record:
        changed['alpha'] = np.clip(function(record['alpha']), 0, 1)
    return changed


def _turn_hue(angle: float) -> np.ndarray:
    """The rotation of RGB space about its grey axis, [3, 3] (Rodrigues' formula)."""
    cosine, sine = math.cos(angle), math.sin(angle) / math.sqrt(3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return cosine * np.eye(3) + (1 - cosine) / 3 * np.ones((3, 3)) + sine * cross


def _line(length: float, angle: float) -> np.ndarray:
    """Makes a kernel of a line through the centre, of sum 1 and odd side: float32 [n, n]."""
    radius = math.ceil(length / 2)
    # Each point of the line is distributed over the four pixels around it.
    points = np.linspace(-length / 2, length / 2, 4 * radius + 1)
    x, y = radius + points * math.cos(angle), radius + points * math.sin(angle)
    grid = np.arange(2 * radius + 1)[:, None]
    across, down = (np.maximum(0, 1 - np.abs(grid - position)) for position in (x, y))
    kernel = down @ across.T
    return (kernel / kernel.sum()).astype(np.float32)
