"""Paints objects in the backgrounds of synthetic portraits."""

from __future__ import annotations

import numpy as np

from mattingjax.data.synthetic.drawing import ellipse
from mattingjax.data.synthetic.painting import Painting
from mattingjax.data.synthetic.textures import random_colour


def paint_window(
    canvas: Painting, rng: np.random.Generator, corner: np.ndarray, extent: np.ndarray
) -> None:
    """Paints a picture or a bright window in a frame; `extent` is its width and height."""
    frame = random_colour(rng, (0, 0.5), (0.05, 0.9))
    canvas.box(corner - 0.012, corner + extent + 0.012, frame)
    if rng.random() < 0.5:
        canvas.box(corner, corner + extent, random_colour(rng))
        return
    canvas.box(corner, corner + extent, random_colour(rng, (0, 0.3), (0.8, 1)))
    for bar in ([(0.5, 0), (0.5, 1)], [(0, 0.5), (1, 0.5)]):
        canvas.line(corner + np.array(bar) * extent, frame, 0.012)


def paint_shelf(
    canvas: Painting, rng: np.random.Generator, corner: np.ndarray, extent: np.ndarray
) -> None:
    """Paints a box with rows of books; `extent` is its width and height."""
    canvas.box(corner - 0.012, corner + extent + 0.012, random_colour(rng, (0.1, 0.5)))
    canvas.box(corner, corner + extent, random_colour(rng, (0.1, 0.5), (0.05, 0.3)))
    rows = int(rng.integers(1, 4))
    for row in range(rows):
        x, bottom = corner[0], corner[1] + extent[1] * (row + 1) / rows
        while x < corner[0] + extent[0] - 0.03:
            thick, tall = rng.uniform(0.01, 0.03), extent[1] / rows * rng.uniform(0.6, 0.95)
            canvas.box((x, bottom - tall), (x + thick, bottom), random_colour(rng))
            x += thick


def paint_plant(canvas: Painting, rng: np.random.Generator, foot: np.ndarray) -> None:
    """Paints a plant whose stems start at one point."""
    for _ in range(40):
        tip = foot + np.array([rng.normal(0, 0.08), -rng.uniform(0.05, 0.35)])
        bend = (foot + tip) / 2 + rng.normal(0, 0.02, 2)
        green = random_colour(rng, (0.4, 0.8), (0.2, 0.6)) * np.array([0.5, 1, 0.4])
        canvas.line([foot, bend, tip], green, 0.006)
        canvas.fill(ellipse(tip, (0.012, 0.035), rng.uniform(0, np.pi)), green)


def paint_car(canvas: Painting, rng: np.random.Generator, left: float, bottom: float) -> None:
    """Paints a car seen from the side."""
    long, colour = rng.uniform(0.15, 0.35), random_colour(rng)
    canvas.fill(ellipse((left + long / 2, bottom - 0.08), (long * 0.35, 0.07)), colour * 0.7)
    canvas.box((left, bottom - 0.08), (left + long, bottom), colour)
    for share in (0.2, 0.8):
        canvas.fill(ellipse((left + long * share, bottom), (0.025, 0.025)), np.full(3, 0.1))


def paint_clutter(canvas: Painting, rng: np.random.Generator, count: int) -> None:
    """Paints random shapes at random places, some of which look like skin or hair."""
    for _ in range(count):
        centre, reach, colour = rng.random(2), rng.exponential(0.1) + 0.02, random_colour(rng)
        kind = rng.choice(['ball', 'skin', 'polygon', 'box', 'tuft', 'stroke'])
        if kind in ('ball', 'skin'):
            if kind == 'skin':
                colour = np.array([0.85, 0.62, 0.5]) * rng.uniform(0.4, 1.1)
            radii, turn = reach * rng.uniform(0.3, 1, 2), rng.uniform(0, np.pi)
            canvas.fill(ellipse(centre, radii, turn), colour)
            canvas.fill(ellipse(centre - 0.2 * radii, 0.6 * radii, turn), colour * 1.15)
        elif kind == 'polygon':
            canvas.fill(centre + rng.normal(0, reach, (int(rng.integers(3, 7)), 2)), colour)
        elif kind == 'box':
            extent = reach * rng.uniform(0.3, 2, 2)
            canvas.box(centre, centre + extent, colour)
            canvas.box(centre, centre + extent * np.array([0.3, 1]), colour * 0.8)
        elif kind == 'tuft':
            bends = centre + rng.normal(0, reach * 0.3, (40, 2))
            for bend, tip in zip(bends, bends + rng.normal(0, reach * 0.4, (40, 2)), strict=True):
                canvas.line([centre, bend, tip], colour, 0)
        else:
            path = centre + np.cumsum(rng.normal(0, reach * 0.6, (5, 2)), axis=0)
            canvas.line(path, colour, rng.uniform(0, 0.03))
