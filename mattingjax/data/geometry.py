"""Geometric transforms: image, alpha and foreground of a record always move together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import cv2
import numpy as np

from mattingjax.data.records import Record
from mattingjax.errors import MattingError
from mattingjax.images import resize
from mattingjax.images.compositing import to_uint8

Picture = Callable[[np.ndarray], np.ndarray]

_FIELDS = ('image', 'alpha', 'foreground')
# A person's width at the lower border over the largest: more than shoes that touch it.
_CUT = 0.3
_VISIBLE = 2 / 255  # an alpha up to this may go on beyond the border


def record_size(record: Record) -> tuple[int, int]:
    """Height and width in pixels of a record, be it a photo or a cut-out."""
    return record['image' if 'image' in record else 'foreground'].shape[:2]


@dataclasses.dataclass(frozen=True)
class RandomResize:
    """Resizes to about a square, or so that it covers one.

    Attributes:
      size: Side of the square in pixels.
      scale: Range of the factor on it, at least 1 if a crop of the size is to follow.
      step: The factor is a whole number of these away from the least; None for any factor.
      keep_aspect: Whether the short side gets the size and the long one follows; otherwise both
        sides do, each with a factor of its own.
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
    """Cuts out a square of `size` pixels, anywhere."""

    size: int

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        height, width = record_size(record)
        top = rng.integers(max(0, height - self.size), endpoint=True)
        left = rng.integers(max(0, width - self.size), endpoint=True)
        rows, columns = slice(top, top + self.size), slice(left, left + self.size)
        return _select(record, lambda picture: picture[rows, columns])


def flip(record: Record, rng: np.random.Generator) -> Record:
    """Left becomes right."""
    del rng
    return _select(record, lambda picture: cv2.flip(picture, 1))


@dataclasses.dataclass(frozen=True)
class RandomRotation:
    """Turns the picture about its centre and enlarges it until no corner is empty.

    Attributes:
      degrees: The largest angle, to either side.
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
class CloseUp:
    """Cuts out the head and some of what is below it, as a portrait shows it.

    The crown is where the alpha begins. Records without alpha, and empty ones, stay as they are,
    and so do people whom the lower border cuts off, not only touches: how long they are is not
    known, and of a portrait a forehead would be left.

    Attributes:
      scale: Range of the cut's height, as a share of the person's; drawn evenly in its logarithm.
      aspect: Range of its width over its height, likewise.
    """

    scale: tuple[float, float] = (0.2, 0.7)
    aspect: tuple[float, float] = (0.65, 1.6)

    def __post_init__(self) -> None:
        numbers = [value for value in self.scale if isinstance(value, int | float)]
        if len(self.scale) != 2 or len(numbers) != 2 or not 0 < numbers[0] <= numbers[1] < math.inf:
            raise MattingError(
                f'close_up_scale: expected two numbers over 0, the lower first, got {self.scale}'
            )

    def __call__(self, record: Record, rng: np.random.Generator) -> Record:
        alpha = record.get('alpha')
        if alpha is None:
            return record
        height, width = alpha.shape
        widths = (alpha > 0.5).sum(1)
        if widths[-1] >= max(1, _CUT * widths.max()) or not widths.any():
            return record
        person = np.flatnonzero(widths)
        crown, length = person[0], person[-1] + 1 - person[0]
        head = np.flatnonzero((alpha[crown : crown + max(1, length // 8)] > 0.5).any(0))
        tall = math.exp(rng.uniform(*np.log(self.scale))) * length
        wide = tall * math.exp(rng.uniform(*np.log(self.aspect)))
        top = crown - rng.uniform(0, 0.35) * tall
        left = head.mean() + rng.uniform(-0.2, 0.2) * wide - wide / 2
        rows = slice(*_clip(top, tall, height))
        columns = slice(*_clip(left, wide, width))
        return _select(record, lambda picture: picture[rows, columns])


@dataclasses.dataclass(frozen=True)
class RandomAffine:
    """Scale, rotation, shear and translation in one step, straight to the size asked for.

    No pixel is invented. Of a photo nothing beyond its border is ever seen: it is enlarged as far
    as that needs. A cut-out may lie free, but not so that the cut through a person at its border
    is seen.

    Attributes:
      size: Side of the square that comes out, in pixels.
      scale: Range of the factor, drawn evenly in its logarithm. At 1 the square holds the whole
        picture; with `keep_aspect` as much of it as a square can.
      degrees: The largest rotation, to either side.
      shear: The largest shear along either axis, as a tangent.
      keep_aspect: Whether the picture keeps its proportions; otherwise it is squeezed to a square.
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
        # Half of what the square shows at most, along x and y.
        reach = np.abs(matrix).sum(1) * self.size / 2
        excess = np.where(starts & ends, 2 * reach / sides, 0).max()
        if excess > 1:
            matrix, reach = matrix / excess, reach / excess
        least = np.where(starts, reach, np.minimum(reach, sides - reach))
        most = np.where(ends, sides - reach, np.maximum(reach, sides - reach))
        centre = least + rng.random(2) * (most - least)
        return _warp(record, matrix, centre - matrix.sum(1) * self.size / 2, (self.size, self.size))


def resize_record(record: Record, height: int, width: int) -> Record:
    """Resizes as `mattingjax.inference.Predictor` does: by area both ways."""
    if record_size(record) == (height, width):
        return record
    return _resample(record, lambda picture: resize(picture, height, width, cv2.INTER_AREA))


def _clip(start: float, length: float, end: int) -> tuple[int, int]:
    """Whole numbers from start on, at least 16 of them where there are as many, within [0, end]."""
    first = min(max(0, round(start)), max(0, end - 16))
    return first, min(end, max(round(start + length), first + 16))


def _rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _closed_sides(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Beyond which sides nothing may be seen: (left, upper) and (right, lower), two bools each."""
    if 'image' in record:
        return np.array([True, True]), np.array([True, True])
    alpha = record['alpha'] > _VISIBLE
    return (
        np.array([alpha[:, 0].any(), alpha[0].any()]),
        np.array([alpha[:, -1].any(), alpha[-1].any()]),
    )


def _warp(record: Record, matrix: np.ndarray, offset: np.ndarray, size: tuple[int, int]) -> Record:
    """Fills a picture of `size` (height, width): its point p is the record's matrix · p + offset.

    Points are (x, y) in pixels from the upper left corner. Where the record has more pixels than
    the result, it is first reduced by area: the warp alone would leave most of them out.
    """
    height, width = record_size(record)
    sides = np.array([width, height])
    reduced = np.maximum(1, np.round(sides / np.maximum(1, np.hypot(*matrix.T)))).astype(int)
    scale = reduced / sides
    matrix, offset = matrix * scale[:, None], offset * scale
    offset = offset + matrix.sum(1) / 2 - 0.5  # OpenCV counts from the centre of the first pixel.
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


def _select(record: Record, function: Picture) -> Record:
    """Applies what only picks pixels."""
    return record | {name: function(record[name]) for name in _FIELDS if name in record}


def _resample(record: Record, function: Picture) -> Record:
    """Applies what averages pixels, the colours of a cut-out weighted by its alpha.

    Else the colours of transparent pixels, which may be anything, would bleed into its edges.
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
