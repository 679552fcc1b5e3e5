"""Paints backgrounds of synthetic portraits: studios, rooms, streets, greenery and clutter."""

from __future__ import annotations

import cv2
import numpy as np

from mattingjax.data.synthetic.drawing import Frame, Region, ellipse
from mattingjax.data.synthetic.objects import (
    paint_car,
    paint_clutter,
    paint_plant,
    paint_shelf,
    paint_window,
)
from mattingjax.data.synthetic.painting import Painting
from mattingjax.data.synthetic.textures import noise, random_colour


def paint_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paints a random background, sharp or out of focus.

    Args:
      rng: The random generator.
      size: Side S in pixels.

    Returns:
      float32 [S, S, 3] in [0, 1].
    """
    kinds = (
        _paint_studio,
        _paint_room,
        _paint_street,
        _paint_greenery,
        _paint_pattern,
        _paint_mess,
    )
    canvas = kinds[rng.choice(len(kinds), p=[0.12, 0.24, 0.2, 0.16, 0.12, 0.16])](rng, size)
    if rng.random() < 0.35:
        paint_clutter(canvas, rng, int(rng.integers(2, 10)))
    mottle = noise(rng, (size, size), 8, 4) * rng.uniform(0.01, 0.1)
    picture = np.clip(canvas.colours * (1 + mottle[..., None]), 0, 1)
    blur = rng.choice([0, 0.004, 0.012, 0.03], p=[0.3, 0.3, 0.25, 0.15]) * rng.uniform(0.6, 1.4)
    picture = _defocus(picture, blur * size)
    if blur > 0.01 and rng.random() < 0.5:
        _add_lights(picture, rng, blur)
    return picture


def _defocus(picture: np.ndarray, sigma: float) -> np.ndarray:
    if sigma < 0.3:
        return picture
    # After a wide blur nothing is left that a coarser and faster grid would lose.
    size = picture.shape[0]
    coarse = max(8, size // max(1, int(sigma / 2)))
    picture = cv2.resize(picture, (coarse, coarse), interpolation=cv2.INTER_AREA)
    picture = cv2.GaussianBlur(picture, (0, 0), sigma * coarse / size)
    return np.clip(cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def _add_lights(picture: np.ndarray, rng: np.random.Generator, blur: float) -> None:
    """Adds lights out of focus, in place."""
    size = picture.shape[0]
    lights = _canvas(np.zeros_like(picture))
    for _ in range(int(rng.integers(5, 30))):
        radius = blur * rng.uniform(0.8, 1.6)
        colour = random_colour(rng, (0, 0.6), (0.3, 1)) * rng.uniform(0.2, 0.7)
        lights.fill(ellipse(rng.random(2), (radius, radius)), colour)
    picture += _defocus(lights.colours, max(0.4, blur * size * 0.12)) * (1 - picture)


def _canvas(colours: np.ndarray) -> Painting:
    size = colours.shape[0]
    return Painting(colours, Region(0, 0, size, size, size), Frame(0, 0, 1))


def _gradient(size: int, *stops: tuple[float, np.ndarray]) -> Painting:
    """Paints a vertical gradient through pairs of a height, from 0 at the top, and its colour."""
    heights, colours = zip(*stops, strict=True)
    y = (np.arange(size) + 0.5) / size
    channels = [np.interp(y, heights, channel) for channel in np.transpose(colours)]
    return _canvas(np.repeat(np.stack(channels, axis=-1)[:, None], size, axis=1))


def _paint_studio(rng: np.random.Generator, size: int) -> Painting:
    """Paints a backdrop with a pool of light."""
    x, y = Region(0, 0, size, size, size).grid()
    middle = rng.uniform(0.2, 0.8, 2)
    share = np.exp(-(np.square(x - middle[0]) + np.square(y - middle[1])) / 0.25)[..., None]
    low = random_colour(rng, (0, 0.5), (0.1, 0.8))
    return _canvas(low * (1 + share * rng.uniform(0, 0.8)))


def _paint_room(rng: np.random.Generator, size: int) -> Painting:
    """Paints a wall and a floor with random panels, windows, pictures, shelves and plants."""
    wall = random_colour(rng, (0, 0.5), (0.35, 0.95))
    floor = random_colour(rng, (0.1, 0.6), (0.2, 0.7))
    ground = rng.uniform(0.6, 0.95)
    low = wall * rng.uniform(0.7, 1)
    canvas = _gradient(size, (0, wall), (ground, low), (ground, floor), (1, floor * 0.7))
    if rng.random() < 0.4:
        for x in np.arange(rng.uniform(0, 0.1), 1, rng.uniform(0.05, 0.2)):
            canvas.line([(x, 0), (x, ground)], wall * 0.85, 0.004)
    canvas.line([(0, ground), (1, ground)], wall * 0.6, 0.012)
    for _ in range(int(rng.integers(1, 5))):
        corner, extent = rng.uniform((-0.1, 0), (0.9, 0.5)), rng.uniform((0.1, 0.12), (0.4, 0.5))
        (paint_shelf if rng.random() < 0.25 else paint_window)(canvas, rng, corner, extent)
    if rng.random() < 0.25:  # a door
        left, wide = rng.uniform(0, 0.8), rng.uniform(0.15, 0.3)
        canvas.box((left, rng.uniform(0.05, 0.3)), (left + wide, ground), random_colour(rng))
    if rng.random() < 0.4:
        paint_plant(canvas, rng, np.array([rng.random(), ground]))
    return canvas


def _paint_street(rng: np.random.Generator, size: int) -> Painting:
    """Paints houses with windows, a road with marks, poles and cars."""
    horizon = rng.uniform(0.45, 0.75)
    sky = random_colour(rng, (0.05, 0.5), (0.6, 1)) * np.array([0.85, 0.95, 1])
    road = random_colour(rng, (0, 0.15), (0.25, 0.7))
    canvas = _gradient(size, (0, sky), (horizon, 0.5 * sky + 0.5), (horizon, road * 0.8), (1, road))
    left = -0.1
    while left < 1:
        right, top = left + rng.uniform(0.1, 0.35), rng.uniform(-0.1, horizon - 0.1)
        facade = random_colour(rng, (0.05, 0.45), (0.25, 0.9))
        canvas.box((left, top), (right, horizon), facade)
        pane = np.array([(right - left) / rng.integers(2, 6), rng.uniform(0.05, 0.12)])
        glass = facade * rng.uniform(0.3, 1.5)
        for x in np.arange(left + pane[0] * 0.2, right - pane[0] * 0.5, pane[0]):
            for y in np.arange(top + pane[1] * 0.3, horizon - pane[1] * 0.4, pane[1]):
                canvas.box((x, y), (x, y) + 0.55 * pane, glass)
        left = right
    for x in rng.uniform(-0.5, 1.5, int(rng.integers(0, 4))):
        canvas.line([(0.35 + 0.3 * x, horizon), (x, 1)], road * 1.3, 0.006)
    for x in rng.random(int(rng.integers(0, 5))):
        if rng.random() < 0.5:
            paint_car(canvas, rng, x, horizon + rng.uniform(0.02, 0.12))
        else:
            top, colour = rng.uniform(0, 0.4), random_colour(rng) * 0.5
            canvas.box((x, top), (x + rng.uniform(0.008, 0.03), 0.9), colour)
    return canvas


def _paint_greenery(rng: np.random.Generator, size: int) -> Painting:
    """Paints trunks, and leaves from dark to light."""
    horizon = rng.uniform(0.0, 0.6)
    sky = random_colour(rng, (0.1, 0.4), (0.7, 1))
    tint = random_colour(rng, (0.3, 0.8), (0.3, 0.9)) * 0.4 + np.array([0.25, 0.45, 0.1])
    haze = np.ones(3)
    canvas = _gradient(size, (0, sky), (horizon, haze), (horizon, tint * 0.6), (1, tint * 0.9))
    for x in rng.random(int(rng.integers(0, 6))):
        bark = np.array([0.3, 0.22, 0.15]) * rng.uniform(0.5, 1.5)
        bend = rng.normal(0, 0.08)
        trunk = [(x, 1), (x + bend, 0.5), (x + bend * 3, 0)]
        canvas.line(trunk, bark, rng.uniform(0.01, 0.06))
    leaf = rng.uniform(0.01, 0.035)
    for brightness in np.linspace(0.4, 1.3, 350):
        x, y = rng.random(), rng.uniform(horizon, 1)
        colour = tint * brightness * rng.uniform(0.7, 1.3) + rng.normal(0, 0.04, 3)
        if rng.random() < 0.02:
            colour = random_colour(rng, (0.5, 1), (0.6, 1))
        turn = rng.uniform(0, np.pi)
        canvas.fill(ellipse((x, y), leaf * rng.uniform(0.4, 1.4, 2), turn), colour)
    return canvas


def _paint_pattern(rng: np.random.Generator, size: int) -> Painting:
    """Paints bricks, planks, tiles or blinds, upright or lying."""
    colour, joint = random_colour(rng, (0.05, 0.7), (0.2, 0.9)), random_colour(rng, (0, 0.2))
    wide, high, gap = rng.uniform((0.05, 0.025, 0.002), (1.2, 0.15, 0.008))
    offset, upright = rng.choice([0, 0.5]), rng.random() < 0.3
    canvas = _gradient(size, (0, joint), (1, joint))
    for row, top in enumerate(np.arange(0, 1, high)):
        for left in np.arange(-wide * (1 - offset * (row % 2)), 1, wide):
            corner, opposite = (left, top), (left + wide - gap, top + high - gap)
            step = -1 if upright else 1
            canvas.box(corner[::step], opposite[::step], colour * rng.uniform(0.8, 1.2))
    return canvas


def _paint_mess(rng: np.random.Generator, size: int) -> Painting:
    """Paints nothing but clutter."""
    canvas = _gradient(size, (0, random_colour(rng)), (1, random_colour(rng)))
    paint_clutter(canvas, rng, int(rng.integers(15, 45)))
    return canvas
