"""Paints the hair of synthetic portraits, strand by strand, and single hairs that fly away."""

from __future__ import annotations

import numpy as np

from mattingjax.data.synthetic.drawing import Figure, Region, Stencil, ellipse
from mattingjax.data.synthetic.hairstyles import Hair
from mattingjax.data.synthetic.person import Person
from mattingjax.data.synthetic.strands import (
    coiled,
    combed_back,
    flowing,
    fringe,
    hairline,
    skull_points,
    skull_radius,
    straying,
    tufts,
)
from mattingjax.data.synthetic.textures import relief

_SHADES = 16  # strands of one shade are drawn together, which is faster
_BRAID = 0.045  # width of a braid in heights of the head
_TUFTS = {'short': 900, 'messy': 900, 'curly': 1600, 'buzz': 700}


def paint_back_hair(figure: Figure, rng: np.random.Generator, person: Person, hair: Hair) -> None:
    """Paints the hair that hangs behind neck and shoulders."""
    if hair.style not in ('long', 'bob', 'braids'):
        return
    brush = _Brush(figure, rng, person, hair)
    around, full = np.linspace(-np.pi, np.pi, 48), 1 + hair.volume
    if hair.style == 'braids':
        brush.fill(skull_points(around, np.ones(48)))
        paths = flowing(rng, hair, 40, (0.9, 1.05), (0.6, 1.1), 1.0)
        brush.strands(paths, _BRAID)
        brush.flyaways(paths, hair.flyaways // 4)
    else:
        brush.fill(skull_points(around, np.full(48, 1 + hair.volume / 2)))
        wide, low = 0.8 + hair.volume, 0.1 + 0.75 * hair.length
        side = np.array([(0.38 * wide, -0.1), (0.42 * wide, low / 2), (0.36 * wide, low)])
        brush.fill(np.concatenate([side, side[::-1] * (-1, 1)]))
        paths = flowing(rng, hair, 500, (0.9, full), (0.8, full), 1.0)
        brush.strands(paths)
        brush.flyaways(paths, hair.flyaways)
    brush.paint()


def paint_front_hair(figure: Figure, rng: np.random.Generator, person: Person, hair: Hair) -> None:
    """Paints the hair that covers the skull and hangs before the shoulders."""
    if hair.style == 'bald':
        return
    brush = _Brush(figure, rng, person, hair)
    around = np.linspace(-1.75, 1.75, 40)
    inner = hairline(around) + 0.05
    bulk = 0.7 * hair.length if hair.style == 'curly' else 0.0
    outer = np.maximum(1.01 + bulk * np.cos(around / 1.8), inner)
    brush.fill(np.concatenate([skull_points(around, outer), skull_points(around, inner)[::-1]]))

    start, end = (0.55, 1 + hair.volume), (0.94, 1.02 + hair.volume)
    width = None
    if hair.style in ('long', 'bob'):
        hanging = rng.uniform(0.3, 1.0) if hair.style == 'long' else 0.9
        paths = flowing(rng, hair, 700, start, end, hanging)
    elif hair.style == 'braids':
        paths = flowing(rng, hair, 40, (0.55, 1.05), (0.95, 1.12), rng.uniform(0.2, 1))
        width = _BRAID
    elif hair.style == 'bun':
        y, radius = -0.55 - rng.uniform(0, 0.08), rng.uniform(0.13, 0.22)
        brush.fill(ellipse((0, y), (radius, radius * 0.9)))
        brush.strands(combed_back(rng, 500))
        paths = coiled(rng, y, radius, 150)
    else:
        paths = tufts(rng, hair, _TUFTS[hair.style])
    brush.strands(paths, width)
    if hair.fringe and hair.style in ('long', 'bob', 'short', 'messy'):
        brush.strands(fringe(rng, hair, 250))
    brush.flyaways(paths, 0 if hair.style == 'buzz' else hair.flyaways)
    brush.paint()


class _Brush:
    """Collects strands in the head's frame and paints them, their shades mixed."""

    def __init__(self, figure: Figure, rng: np.random.Generator, person: Person, hair: Hair):
        self._figure, self._rng, self._person, self._hair = figure, rng, person, hair
        self._stencil = Stencil(figure.size, shaded=True)

    def fill(self, outline: np.ndarray) -> None:
        self._stencil.fill(self._person.head(outline), shade=0.12)

    def strands(self, paths: np.ndarray, width: float | None = None) -> None:
        """Draws paths [n, points, 2], `width` in heights of the head; their tips are finer."""
        scene = self._person.head(paths)
        wide = (width or 0.0045) * self._person.head.scale
        # Strands that start and end close together have a similar shade, as in a lock of hair.
        lock = np.sin(40 * paths[:, 0, 0] + 25 * paths[:, -1, 0] + 11 * paths[:, -1, 1])
        shade = 0.4 + 0.16 * lock + self._rng.normal(0, 0.2, len(paths))
        level = np.clip(shade * _SHADES, 0, _SHADES - 1).astype(int)
        tip = round(0.7 * paths.shape[1])
        for k in self._rng.permutation(_SHADES):
            alike, tone = scene[level == k], (k + 0.5) / _SHADES
            self._stencil.lines(alike[:, tip:], wide / 3, tone)
            self._stencil.lines(alike[:, : tip + 1], wide, tone)

    def flyaways(self, paths: np.ndarray, count: int) -> None:
        """Draws `count` single hairs that stray from the paths."""
        self._stencil.lines(self._person.head(straying(self._rng, paths, count)), 0.0, 0.5)

    def paint(self) -> None:
        """Adds the drawn hair to the figure, lit."""
        person, gloss = self._person, self._hair.gloss
        root = self._hair.colour * np.float32(0.45)

        def surface(region: Region, averages: np.ndarray) -> np.ndarray:
            coverage, shaded = averages[..., 0], averages[..., 1]
            shade = shaded / np.maximum(coverage, 1e-3)
            x, y = person.head.inverse(*region.grid())
            ring = np.exp(-np.square((skull_radius(x, y) - 0.78) / 0.13)) * (y < 0.1)
            light = 0.3 * relief(coverage, person.light) + 0.3 * ring * shade
            return (root + shade[..., None] * (gloss - root)) * (1 + light[..., None])

        self._figure.paint(self._stencil, surface)
