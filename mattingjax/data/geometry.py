"""Geometric transforms, which move image, alpha and foreground of a record together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np

from mattingjax.data.records import Record
from mattingjax.images import resize
from mattingjax.images.compositing import to_uint8

_PixelFunction = Callable[[np.ndarray], np.ndarray]

_FIELDS = ('image', 'alpha', 'foreground')
VISIBLE = 2 / 255  # where an alpha at the border is higher, the border cuts the person off


def record_size(record: Record) -> tuple[int, int]:
    """The height and width of a record, a photo or a cut-out, in pixels."""
    return record['image' if 'image' in record else 'foreground'].shape[:2]


@dataclasses.dataclass(frozen=True)
class RandomResize:
    """Resizes to `size` times a random factor.

    Attributes:
      size: Size before the factor, in pixels.
      scale: Range of the factor; its lower end is at least 1 if a crop of `size` follows.
      step: The factor is the lower end plus a random multiple of `step`; None allows any factor.
      keep_aspect: Whether the short side gets the new size and the long side follows. Otherwise
        both sides get it, with a factor for each.
    """

    size: int
    scale: tuple[float, float] = (1.0, 1.0)
    step: float | None = None
    keep_aspect: bool = False

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        height, width = record_size(record)
        down = across = self._draw(rng) * self.size
        if self.keep_aspect:
            short = min(height, width)
            down, across = down * height / short, across * width / short
        else:
            across = self._draw(rng) * self.size
        return resize_record(record, round(down), round(across))

    def _draw(self, rng: np.random.Generator) -> float:
        low, high = self.scale
        if self.step is None:
            return rng.uniform(low, high)
        return low + self.step * rng.integers(round((high - low) / self.step), endpoint=True)


@dataclasses.dataclass(frozen=True)
class RandomCrop:
    """Cuts out a square at a random place.

    Attributes:
      size: Side of the square in pixels.
    """

    size: int

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        height, width = record_size(record)
        top = rng.integers(max(0, height - self.size), endpoint=True)
        left = rng.integers(max(0, width - self.size), endpoint=True)
        rows, columns = slice(top, top + self.size), slice(left, left + self.size)
        return select(record, lambda picture: picture[rows, columns])


@dataclasses.dataclass(frozen=True)
class Flip:
    """Mirrors a record, so that left becomes right."""

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        del rng
        return select(record, lambda picture: cv2.flip(picture, 1))


@dataclasses.dataclass(frozen=True)
class RandomRotation:
    """Rotates about the centre and enlarges until no corner is empty.

    Attributes:
      degrees: The largest angle in degrees, in either direction.
    """

    degrees: float = 15.0

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        height, width = record_size(record)
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        aspect = max(height / width, width / height)
        matrix = _rotation(angle) / (math.cos(angle) + aspect * abs(math.sin(angle)))
        centre = np.array([width, height]) / 2
        return _warp(record, matrix, centre - matrix @ centre, (height, width))


@dataclasses.dataclass(frozen=True)
class RandomAffine:
    """Scales, rotates, shears and moves in one step, and resamples to the final size.

    The square never shows anything beyond the border of a photo, which is enlarged as far as that
    takes. It may show what is beyond a cut-out, which is transparent, except at a border that cuts
    the person off.

    Attributes:
      size: Side of the square that comes out, in pixels.
      scale: Range of the scale, whose logarithm is drawn uniformly. At 1 the square holds the whole
        picture, or with `keep_aspect` the largest square in it.
      degrees: The largest rotation in degrees, in either direction.
      shear: The largest shear along either axis, as a tangent.
      keep_aspect: Whether the picture keeps its aspect ratio instead of being resized to a square.
    """

    size: int
    scale: tuple[float, float] = (0.7, 1.4)
    degrees: float = 15.0
    shear: float = 0.1
    keep_aspect: bool = False

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        height, width = record_size(record)
        sides = np.array([width, height], float)
        view = np.full(2, sides.min()) if self.keep_aspect else sides
        scale = math.exp(rng.uniform(*np.log(self.scale)))
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        across, down = rng.uniform(-self.shear, self.shear, 2)
        turn = _rotation(angle) @ [[1, across], [down, 1]]
        matrix = np.diag(view / scale / self.size) @ turn

        starts, ends = _closed_sides(record)
        # Half the width and height of the square's bounding box in the picture.
        reach = np.abs(matrix).sum(1) * self.size / 2
        excess = np.where(starts & ends, 2 * reach / sides, 0).max()
        if excess > 1:
            matrix, reach = matrix / excess, reach / excess
        least = np.where(starts, reach, np.minimum(reach, sides - reach))
        most = np.where(ends, sides - reach, np.maximum(reach, sides - reach))
        centre = least + rng.random(2) * (most - least)
        return _warp(record, matrix, centre - matrix.sum(1) * self.size / 2, (self.size, self.size))


def resize_record(record: Record, height: int, width: int) -> Record:
    """Resizes a record as `mattingjax.inference.Predictor` resizes a photo: by area both ways.

    Args:
      record: A photo or a cut-out.
      height: New height in pixels.
      width: New width in pixels.
    """
    if record_size(record) == (height, width):
        return record
    return _resample(record, lambda picture: resize(picture, height, width, cv2.INTER_AREA))


def shrink_record(record: Record, side: int) -> Record:
    """Shrinks a photo or a cut-out to a shorter side of `side` pixels; a smaller one stays."""
    height, width = record_size(record)
    scale = min(1, side / min(height, width))
    return resize_record(record, round(height * scale), round(width * scale))


def _rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _closed_sides(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Whether nothing may be shown beyond the left and upper, and the right and lower, sides."""
    if 'image' in record:
        return np.array([True, True]), np.array([True, True])
    alpha = record['alpha'] > VISIBLE
    return (
        np.array([alpha[:, 0].any(), alpha[0].any()]),
        np.array([alpha[:, -1].any(), alpha[-1].any()]),
    )


def _warp(record: Record, matrix: np.ndarray, offset: np.ndarray, size: tuple[int, int]) -> Record:
    """Warps a record so that its point matrix · p + offset becomes the point p of the result.

    Where the record has more pixels than the result, it is first reduced by area, because the warp
    alone would skip most of them.

    Args:
      record: A photo or a cut-out.
      matrix: [2, 2], for points (x, y) in pixels from the upper left corner.
      offset: [2], in pixels.
      size: Height and width of the result in pixels.
    """
    height, width = record_size(record)
    sides = np.array([width, height])
    reduced = np.maximum(1, np.round(sides / np.maximum(1, np.hypot(*matrix.T)))).astype(int)
    scale = reduced / sides
    matrix, offset = matrix * scale[:, None], offset * scale
    offset = offset + matrix.sum(1) / 2 - 0.5  # OpenCV counts from the first pixel's centre
    coefficients = np.column_stack([matrix, offset])

    def warp(picture: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(
            resize(picture, reduced[1], reduced[0]),
            coefficients,
            size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    return _resample(record, warp)


def select(record: Record, function: _PixelFunction) -> Record:
    """Applies a function that only picks pixels."""
    return record | {name: function(record[name]) for name in _FIELDS if name in record}


def _resample(record: Record, function: _PixelFunction) -> Record:
    """Applies a function that averages pixels, the colours of a cut-out weighted by its alpha.

    Unweighted, the arbitrary colours of transparent pixels would bleed into the edges.
    """
    moved = dict(record)
    if 'image' in record:
        moved['image'] = function(record['image'])
    if 'alpha' in record:
        moved['alpha'] = np.clip(function(record['alpha']), 0, 1)
    if 'foreground' in record:
        weighted = function(record['foreground'] * record['alpha'][..., None])
        colours = weighted / np.maximum(moved['alpha'][..., None], 1e-6)
        moved['foreground'] = to_uint8(colours / 255)
    return moved
