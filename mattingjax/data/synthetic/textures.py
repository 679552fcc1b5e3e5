"""Colours and surfaces of synthetic portraits: noise, light and shade, cloth."""

from __future__ import annotations

import colorsys
import dataclasses

import cv2
import numpy as np

from mattingjax.data.synthetic.drawing import Region


def noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: int, octaves: int = 3
) -> np.ndarray:
    """Draws smooth noise, about normally distributed with standard deviation 0.5.

    Args:
      rng: The random generator; the numbers drawn do not depend on `shape`.
      shape: Height and width of the result in pixels.
      cells: Number of bumps along a side in the coarsest octave. Each further octave has twice as
        many bumps of half the height.
      octaves: Number of octaves, at least 1.

    Returns:
      float32 [h, w].
    """
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        grid = rng.standard_normal((cells << octave, cells << octave), np.float32)
        total += cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC) * 0.5 ** (octave + 1)
    return total


def random_colour(
    rng: np.random.Generator,
    saturation: tuple[float, float] = (0.05, 0.8),
    value: tuple[float, float] = (0.1, 0.95),
) -> np.ndarray:
    """Draws a colour of any hue.

    Args:
      rng: The random generator.
      saturation: Range of the saturation in HSV, within [0, 1].
      value: Range of the value in HSV, within [0, 1].

    Returns:
      float32 [3] in [0, 1], RGB.
    """
    least, most = saturation
    # Pale colours are more frequent than saturated ones.
    rich = least + (most - least) * rng.random() ** 1.5
    hsv = rng.random(), rich, rng.uniform(*value)
    return np.array(colorsys.hsv_to_rgb(*hsv), np.float32)


def relief(coverage: np.ndarray, light: tuple[float, float], reach: float = 0.12) -> np.ndarray:
    """Shades a shape as if it bulged towards the viewer.

    Args:
      coverage: The shape's coverage of each pixel, float32 [h, w] in [0, 1].
      light: Unit vector towards the light, x and y.
      reach: How far the bulge extends inwards, as a share of the shape's longer side.

    Returns:
      Light and shade, float32 [h, w] in [-1, 1].
    """
    height, width = coverage.shape
    scale = min(1.0, 64 / max(height, width))
    small = max(2, round(height * scale)), max(2, round(width * scale))
    coarse = cv2.resize(coverage, small[::-1], interpolation=cv2.INTER_AREA)
    sigma = max(reach * max(small), 0.8)
    padded = cv2.copyMakeBorder(coarse, 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    bulge = cv2.GaussianBlur(padded, (0, 0), sigma)[8:-8, 8:-8]
    down, across = np.gradient(bulge)
    slope = -(across * light[0] + down * light[1]) * sigma * 2.5
    slope = cv2.resize(slope.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(slope, -1, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Cloth:
    """The cloth of a garment.

    Attributes:
      colour: Main colour, float32 [3] in [0, 1].
      other: Second colour of the pattern, float32 [3] in [0, 1].
      pattern: 'plain', 'stripes', 'plaid', 'dots', 'blots' or 'bands'.
      period: Period of the pattern in heights of the head.
      duty: Share of a period that has the second colour, in [0, 1].
      upright: Whether stripes run down instead of across.
      weave: Strength of the fine structure.
      folds: Strength of the folds.
    """

    colour: np.ndarray
    other: np.ndarray
    pattern: str
    period: float
    duty: float
    upright: bool
    weave: float
    folds: float

    def surface(self, rng: np.random.Generator, region: Region, unit: float) -> np.ndarray:
        """Draws the cloth in a region: float32 [h, w, 3].

        Args:
          rng: The random generator.
          region: The region of the picture.
          unit: The height of the head in the scene.
        """
        x, y = region.grid()
        sway = noise(rng, region.shape, 3, 1) * 0.06
        share = self._share(rng, x / unit + sway, y / unit - sway, unit * region.size)
        folds = noise(rng, region.shape, 5, 2) * self.folds
        grain = rng.standard_normal((128, 128), np.float32) * self.weave
        folds += cv2.resize(grain, region.shape[::-1], interpolation=cv2.INTER_LINEAR)
        colours = self.colour + share[..., None] * (self.other - self.colour)
        return colours * (1 + folds[..., None])

    def _share(
        self, rng: np.random.Generator, x: np.ndarray, y: np.ndarray, pixels: float
    ) -> np.ndarray:
        """The share of the second colour, [h, w] in [0, 1], at x and y with `pixels` per unit."""
        along, across = (x, y) if self.upright else (y, x)
        # Edges are as soft as a pixel is wide, so that fine patterns become grey without aliasing.
        soft = max(0.1, np.pi / (self.period * pixels))

        def wave(position: np.ndarray) -> np.ndarray:
            cycle = np.cos(2 * np.pi / self.period * position) * 0.5 + 0.5
            return np.clip((cycle - 1 + self.duty) / soft + 0.5, 0, 1)

        if self.pattern == 'stripes':
            return wave(along)
        if self.pattern == 'plaid':
            return (wave(along) + wave(across)) / 2
        if self.pattern == 'dots':
            return wave(along) * wave(across)
        if self.pattern == 'blots':
            return np.clip(noise(rng, x.shape, 10, 2) * 4, 0, 1)
        if self.pattern == 'bands':
            return (np.floor(along / (3 * self.period)) % 2).astype(np.float32)
        return np.zeros_like(x)


def create_cloth(rng: np.random.Generator, colour: np.ndarray) -> Cloth:
    """Draws a random cloth of a given main colour, float32 [3] in [0, 1]."""
    patterns = {
        'plain': 0.6,
        'stripes': 0.1,
        'plaid': 0.08,
        'dots': 0.06,
        'blots': 0.08,
        'bands': 0.08,
    }
    own = rng.random() < 0.5
    return Cloth(
        colour=colour,
        other=cloth_colour(rng) if own else colour * np.float32(rng.uniform(0.4, 1.4)),
        pattern=str(rng.choice(list(patterns), p=list(patterns.values()))),
        period=float(rng.uniform(0.08, 0.35)),
        duty=float(rng.uniform(0.2, 0.7)),
        upright=bool(rng.random() < 0.5),
        weave=float(rng.uniform(0.01, 0.05)),
        folds=float(rng.uniform(0.05, 0.25)),
    )


def cloth_colour(rng: np.random.Generator) -> np.ndarray:
    """Draws a colour of clothes, mostly dark, pale or muted: float32 [3] in [0, 1]."""
    ranges = (
        ((0, 0.25), (0.05, 0.3)),
        ((0, 0.12), (0.7, 0.98)),
        ((0.1, 0.45), (0.25, 0.75)),
        ((0.4, 0.9), (0.3, 0.9)),
    )
    return random_colour(rng, *ranges[rng.choice(len(ranges), p=[0.35, 0.2, 0.28, 0.17])])
