"""Pictures of any sizes in one array on the device, each at several reductions, and their sampling.

A picture is kept reduced by area, by √2 from one level to the next. What is sampled is the level
whose pixels come nearest to those wanted, by bilinear interpolation, which would skip most of the
pixels of a larger picture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mattingjax.data.on_device.views import View

_PER_OCTAVE = 2  # levels for each halving of the sides
_ON_A_LINE = 512  # points at which a line is looked at


class Pictures(NamedTuple):
    """Pictures of one kind; a tree of arrays.

    Attributes:
      pixels: The pixels of all pictures and levels, one after another, uint8 [P, C].
      starts: The number of the first pixel of each level of each picture, int32 [N, L]. Pictures of
        fewer levels than L have their last one several times.
      sides: The width and height of each, int32 [N, L, 2]; the first level is the picture itself.
    """

    pixels: jax.Array | np.ndarray
    starts: jax.Array | np.ndarray
    sides: jax.Array | np.ndarray


class Levels(NamedTuple):
    """One picture at all its reductions, before it comes to the others.

    Attributes:
      pixels: The pixels of all levels, one after another, uint8 [P, C].
      sides: The width and height of each level, int32 [L, 2].
    """

    pixels: np.ndarray
    sides: np.ndarray


def make_levels(
    reduce: Callable[[int, int], np.ndarray], sides: Sequence[int], least: float
) -> Levels:
    """Reduces a picture until its longer side is at most `least` pixels.

    Args:
      reduce: Makes the picture, uint8 [H, W, C], of a height and width.
      sides: The width and height of the picture itself.
      least: The length in pixels.
    """
    octaves = math.log2(max(sides) / least)
    count = 1 + max(0, math.ceil(_PER_OCTAVE * octaves))
    factors = 2.0 ** (-np.arange(count) / _PER_OCTAVE)
    reduced = np.maximum(1, np.round(np.outer(factors, sides))).astype(np.int32)
    levels = [reduce(int(height), int(width)) for width, height in reduced]
    return Levels(np.concatenate([level.reshape(-1, level.shape[-1]) for level in levels]), reduced)


def gather_levels(pictures: Sequence[Levels]) -> Pictures:
    """Puts pictures one after another; the arrays are still NumPy's."""
    most = max(len(picture.sides) for picture in pictures)
    starts, sides, first = [], [], 0
    for picture in pictures:
        ends = first + picture.sides.prod(1, dtype=np.int64).cumsum()
        padding = 0, most - len(ends)
        starts.append(np.pad([first, *ends[:-1]], padding, mode='edge'))
        sides.append(np.pad(picture.sides, (padding, (0, 0)), mode='edge'))
        first = ends[-1]
    return Pictures(
        np.concatenate([picture.pixels for picture in pictures]),
        np.asarray(starts, np.int32),
        np.asarray(sides, np.int32),
    )


class Tap(NamedTuple):
    """One of the four pixels from which each sampled pixel is interpolated.

    Attributes:
      weights: Their weights, float32 [S, S, 1]; the sum over the four taps is 1.
      pixels: Their values, float32 [S, S, C] in [0, 255].
    """

    weights: jax.Array
    pixels: jax.Array


def sample(pictures: Pictures, index: jax.Array, view: View, size: int) -> list[Tap]:
    """Samples what a view shows of a picture.

    Args:
      pictures: The pictures.
      index: The number of the picture, an int32 scalar.
      view: The view, whose size is `size` both ways.
      size: The side S of the result in pixels.

    Returns:
      The four taps, whose weighted sum is the sampled picture.
    """
    starts, sides = pictures.starts[index], pictures.sides[index]
    steps = jnp.linalg.norm(view.matrix, axis=1)  # pixels of the picture for one of the view
    nearest = jnp.round(_PER_OCTAVE / 2 * jnp.log2(jnp.maximum(steps.prod(), 1e-6)))
    level = jnp.clip(nearest.astype(jnp.int32), 0, len(starts) - 1)
    scale = sides[level] / sides[0]
    centres = jnp.arange(size) + 0.5
    # The columns of x and y, [S, S] each, from the first pixel's centre.
    points = [
        scale[i]
        * (view.matrix[i, 0] * centres + view.matrix[i, 1] * centres[:, None] + view.offset[i])
        - 0.5
        for i in (0, 1)
    ]
    # Beyond the border the outermost pixels are repeated.
    lows, highs = view.low * scale, jnp.maximum(view.high * scale - 1, view.low * scale)
    x, y = (jnp.clip(points[i], lows[i], highs[i]) for i in (0, 1))
    width, height = sides[level]
    left, top = jnp.floor(x), jnp.floor(y)
    taps = []
    for down, across in itertools.product((0, 1), repeat=2):
        weights = jnp.abs(1 - down - (y - top)) * jnp.abs(1 - across - (x - left))
        row = jnp.minimum(top.astype(jnp.int32) + down, height - 1)
        column = jnp.minimum(left.astype(jnp.int32) + across, width - 1)
        pixels = pictures.pixels[starts[level] + row * width + column]
        taps.append(Tap(weights[..., None], pixels.astype(jnp.float32)))
    return taps


def mean(taps: Sequence[Tap], channels: slice) -> jax.Array:
    """Interpolates channels of a picture: float32 [S, S, c] in [0, 255]."""
    return sum(tap.weights * tap.pixels[..., channels] for tap in taps)  # type: ignore[return-value]


def line_maximum(
    pictures: Pictures, index: jax.Array, ends: tuple[jax.Array, jax.Array], channel: int
) -> jax.Array:
    """The largest value of a channel on a straight line across a picture: uint8.

    Args:
      pictures: The pictures.
      index: The number of the picture, an int32 scalar.
      ends: The pixels (x, y) at the two ends of the line, float32 [2] each.
      channel: The number of the channel.
    """
    share = jnp.linspace(0, 1, _ON_A_LINE)[:, None]
    width, height = pictures.sides[index, 0]
    points = jnp.round(ends[0] * (1 - share) + ends[1] * share).astype(jnp.int32)
    columns, rows = jnp.clip(points, 0, jnp.array([width - 1, height - 1])).T
    return pictures.pixels[pictures.starts[index, 0] + rows * width + columns, channel].max()
