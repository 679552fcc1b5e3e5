"""The tools that draw synthetic portraits: frames, curves, fine stencils and layers.

Scenes have no pixels: a picture's side is 1, x grows to the right and y downwards. So the same
scene can be drawn at any size.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy import interpolate

# Coverage is drawn on a grid of about this many points a side, and averaged over each pixel.
_FINE_SIDE = 2048
_MAX_FACTOR = 16
_SHIFT = 4  # OpenCV takes coordinates in sixteenths

_TURNS = np.linspace(0, 2 * np.pi, 32, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=-1)


class Region(NamedTuple):
    """A rectangle of a picture of `size` pixels a side; `bottom` and `right` lie outside."""

    top: int
    left: int
    bottom: int
    right: int
    size: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    @property
    def window(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """The pixels' centres in the scene: x [1, w] and y [h, 1]."""
        x = (np.arange(self.left, self.right, dtype=np.float32) + 0.5) / self.size
        y = (np.arange(self.top, self.bottom, dtype=np.float32) + 0.5) / self.size
        return x[None], y[:, None]


@dataclasses.dataclass(frozen=True)
class Frame:
    """A coordinate system in the scene, such as that of a head, whose height is its unit.

    Attributes:
      x: The x coordinate of its origin in the scene.
      y: The y coordinate of its origin in the scene.
      scale: The length of its unit in the scene.
      angle: Its rotation in radians, clockwise if positive.
    """

    x: float
    y: float
    scale: float
    angle: float = 0.0

    def __call__(self, points: ArrayLike) -> np.ndarray:
        """Maps points [..., 2] of this frame to the scene."""
        points = np.asarray(points, np.float64)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        turned = points @ np.array([[cos, sin], [-sin, cos]])
        return turned * self.scale + (self.x, self.y)

    def inverse(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Maps coordinates of the scene to this frame."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x = (np.asarray(x) - self.x) / self.scale
        y = (np.asarray(y) - self.y) / self.scale
        return cos * x + sin * y, cos * y - sin * x

    def nested(self, point: Sequence[float], angle: float) -> Frame:
        """A frame of the same scale at a point of this one, rotated by `angle` relative to it."""
        x, y = self(point)
        return Frame(float(x), float(y), self.scale, self.angle + angle)


def curve(points: ArrayLike, closed: bool = False, steps: int = 8) -> np.ndarray:
    """Draws a smooth curve [m, 2] through points [n, 2].

    Args:
      points: The points, as an array [n, 2].
      closed: Whether the curve leads back to the first point.
      steps: Number of points of the curve from one point to the next.
    """
    points = np.asarray(points, np.float64)
    return _spline_basis(len(points), closed, steps) @ points


@functools.cache
def _spline_basis(count: int, closed: bool, steps: int) -> np.ndarray:
    """The matrix [m, count] that maps the knots of a cubic spline to its points."""
    knots = np.arange(count + closed)
    values = np.eye(count)[knots % count]
    spline = interpolate.CubicSpline(knots, values, bc_type='periodic' if closed else 'natural')
    points = np.arange(steps * knots[-1] + (not closed)) / steps
    return spline(points)


def mirrored(right: Sequence[tuple[float, float]]) -> np.ndarray:
    """A symmetric outline [n, 2] from the points of its right half, top to bottom."""
    points = np.asarray(right, np.float64)
    left = points[::-1] * (-1, 1)
    on_axis = points[:, 0] == 0
    return np.concatenate([points, left[~on_axis[::-1]]])


def ellipse(middle: ArrayLike, radii: ArrayLike, angle: float = 0.0) -> np.ndarray:
    """The outline [32, 2] of an ellipse, from its radii across and down before the rotation."""
    x, y = np.asarray(middle)
    return Frame(x, y, 1.0, angle)(_CIRCLE * np.asarray(radii))


def limb(joints: ArrayLike, widths: ArrayLike) -> list[np.ndarray]:
    """Outlines that together cover a bent tube.

    Args:
      joints: Points on its axis, [n, 2].
      widths: Its radius at each joint, [n].
    """
    joints, widths = np.asarray(joints, np.float64), np.asarray(widths, np.float64)
    steps, bones = 6, len(joints) - 1
    path = curve(joints, steps=steps) if bones > 1 else joints
    shares = np.linspace(0, bones, len(path))
    along = np.gradient(path, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    across *= np.interp(shares, np.arange(bones + 1), widths)[:, None]
    across /= np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    outlines = [ellipse(joint, (width, width)) for joint, width in zip(joints, widths, strict=True)]
    # Each bone gets its own outline, as one around a sharp bend would cross itself.
    for bone in range(bones):
        near = (shares >= bone - 0.01) & (shares <= bone + 1.01)
        sides = path[near] + across[near], (path[near] - across[near])[::-1]
        outlines.append(np.concatenate(sides))
    return outlines


def fine_factor(size: int) -> int:
    """The number of fine points along a pixel's side, for a picture of `size` pixels a side."""
    return min(max(round(_FINE_SIDE / size), 2), _MAX_FACTOR)


class Stencil:
    """The coverage of shapes, drawn finely and averaged over each pixel: true sub-pixel alpha.

    Args:
      size: Side of the picture in pixels.
      shaded: Whether each shape has a shade, as strands of hair do.
    """

    def __init__(self, size: int, shaded: bool = False):
        self.size = size
        self._shaded = shaded
        self._factor = fine_factor(size)
        # Points, thickness of lines or None for a filled outline, shade.
        self._shapes: list[tuple[np.ndarray, int | None, float]] = []
        self._low = np.full(2, np.inf)
        self._high = np.full(2, -np.inf)

    def fill(self, *outlines: np.ndarray, shade: float = 0.0) -> None:
        """Adds closed outlines [n, 2]; `shade` in [0, 1]."""
        for outline in outlines:
            self._add(outline, None, 0.0, shade)

    def lines(self, paths: np.ndarray, width: float, shade: float = 0.0) -> None:
        """Adds open lines in the thickness of OpenCV that is nearest to a width.

        Averaged over all directions, OpenCV's smooth lines of thickness 1 are 1.3 points of the
        fine grid wide, and those of an even thickness t are t + 1.3 points wide.

        Args:
          paths: [n, points, 2].
          width: Width in the scene; 0 draws the thinnest lines.
          shade: Shade in [0, 1].
        """
        if len(paths):
            thickness = 2 * round((width * self.size * self._factor - 1.3) / 2)
            self._add(paths, max(thickness, 1), width, shade)

    def _add(self, points: np.ndarray, thickness: int | None, margin: float, shade: float) -> None:
        self._shapes.append((points, thickness, shade))
        margin += 2 / (self.size * self._factor)
        flat = points.reshape(-1, 2)
        self._low = np.minimum(self._low, flat.min(axis=0) - margin)
        self._high = np.maximum(self._high, flat.max(axis=0) + margin)

    @property
    def region(self) -> Region:
        """The region of the pixels that may be covered."""
        edges = np.clip([self._low, self._high], 0, 1) * self.size
        (left, top), (right, bottom) = np.floor(edges[0]), np.ceil(edges[1])
        return Region(int(top), int(left), int(bottom), int(right), self.size)

    def draw(self) -> np.ndarray:
        """Draws the shapes in the region on the fine grid, later shapes over earlier ones.

        Returns:
          The coverage, uint8 [h, w]; for a shaded stencil [h, w, 2], with coverage times shade.
        """
        region, scale = self.region, self.size * self._factor
        shape = tuple(side * self._factor for side in region.shape)
        fine = np.zeros((*shape, 2) if self._shaded else shape, np.uint8)
        corner = np.array([region.left, region.top]) * self._factor
        for points, thickness, shade in self._shapes:
            # In OpenCV whole numbers are the centres of points.
            placed = (points * scale - corner - 0.5) * (1 << _SHIFT)
            placed = np.round(placed).astype(np.int32)
            value = (255, round(255 * shade))
            if thickness is None:
                cv2.fillPoly(fine, [placed], value, cv2.LINE_AA, _SHIFT)
            else:
                cv2.polylines(fine, list(placed), False, value, thickness, cv2.LINE_AA, _SHIFT)
        return fine


def average(fine: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Averages what `Stencil.draw` returns over each pixel: float32 in [0, 1]."""
    mean = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return mean.astype(np.float32) / 255


# Returns the colours of a layer, float32 [h, w, 3] in [0, 1], from its region and its coverage
# there, [h, w] in [0, 1]; for a shaded stencil [h, w, 2], with coverage times shade.
Surface = Callable[[Region, np.ndarray], np.ndarray]


class Figure:
    """Layers painted one over another, with the alpha of their union.

    Where the edges of two layers meet in one pixel, multiplying their transparencies would let the
    background through. So the alpha is that of the union, drawn finely, and the layers only mix
    the colours.

    Args:
      size: Side S of the picture in pixels.
    """

    def __init__(self, size: int):
        self.size = size
        self._factor = fine_factor(size)
        side = self._factor * size
        self._union = np.zeros((side, side), np.uint8)
        self._colours = np.zeros((size, size, 3), np.float32)
        self._weight = np.zeros((size, size, 1), np.float32)

    def paint(self, stencil: Stencil, surface: Surface) -> None:
        """Adds a layer on top; `surface` is not called for a layer outside the picture."""
        region = stencil.region
        if min(region.shape) <= 0:
            return
        fine = stencil.draw()
        rows, columns = (
            slice(s.start * self._factor, s.stop * self._factor) for s in region.window
        )
        union = self._union[rows, columns]
        cv2.max(union, fine if fine.ndim == 2 else cv2.extractChannel(fine, 0), dst=union)
        averages = average(fine, region.shape)
        colours = np.clip(surface(region, averages), 0, 1)
        coverage = averages.reshape(*region.shape, -1)[..., :1]
        for target, value in ((self._colours, colours), (self._weight, 1)):
            part = target[region.window]
            part += coverage * (value - part)

    def alpha(self) -> np.ndarray:
        """The alpha of all layers, float32 [S, S] in [0, 1]."""
        return average(self._union, (self.size, self.size))

    def colours(self) -> np.ndarray:
        """The layers' colours, extended beyond their edges: float32 [S, S, 3] in [0, 1]."""
        premultiplied = np.concatenate([self._colours, self._weight], axis=-1)
        return _extend(premultiplied)


def _extend(premultiplied: np.ndarray) -> np.ndarray:
    """Fills the gaps of colours that are premultiplied by their weight, [S, S, 4]: [S, S, 3]."""
    size = premultiplied.shape[0]
    weight = premultiplied[..., 3:]
    if size > 4:
        half = cv2.resize(premultiplied, ((size + 1) // 2,) * 2, interpolation=cv2.INTER_AREA)
        around = cv2.resize(_extend(half), (size, size), interpolation=cv2.INTER_LINEAR)
    else:
        around = np.broadcast_to(
            premultiplied[..., :3].sum((0, 1)) / np.maximum(weight.sum(), 1e-6), (size, size, 3)
        )
    # Rounding to 8 bits makes the colour of a hardly covered pixel inexact.
    trust = np.clip(weight * 16, 0, 1)
    return around + trust * (premultiplied[..., :3] / np.maximum(weight, 1e-6) - around)
