"""The paths of the strands of hair of synthetic portraits, in the frame of the head.

The skull is an ellipse; a place on it is an angle from the crown (0 is up, positive to the right)
and a radius (1 is the skull's outline).
"""

from __future__ import annotations

import numpy as np

from mattingjax.data.synthetic.hairstyles import Hair

_MIDDLE = np.array([0.0, -0.08])
_RADII = np.array([0.385, 0.44])


def skull_points(angle: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Points [..., 2] at places on the skull."""
    direction = np.stack([np.sin(angle), -np.cos(angle)], axis=-1)
    return _MIDDLE + _RADII * radius[..., None] * direction


def skull_radius(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The radius, relative to the skull's outline, of points with these coordinates."""
    return np.hypot((x - _MIDDLE[0]) / _RADII[0], (y - _MIDDLE[1]) / _RADII[1])


def hairline(angle: np.ndarray) -> np.ndarray:
    """The radius where hair begins, smaller at the forehead than at the ears."""
    return 0.56 + 0.4 * np.square(np.sin(np.clip(angle, -np.pi / 2, np.pi / 2)))


def _swing(rng: np.random.Generator, hair: Hair, paths: np.ndarray) -> np.ndarray:
    """Lets strands swing and stray, increasingly towards their ends."""
    count, points = paths.shape[:2]
    down = np.linspace(0, 1, points)
    lock = np.round(paths[:, -1, 0] * 14 + rng.normal(0, 0.3, count))
    phase = lock * 2.4 + rng.normal(0, 0.25 * hair.frizz, count)
    turns = rng.uniform(2, 5) * (0.4 + hair.length)
    swing = hair.wave * np.sin(2 * np.pi * turns * down + phase[:, None]) * down
    stray = np.cumsum(rng.normal(0, 0.004 * hair.frizz, (count, points, 2)), axis=1) * down[:, None]
    return paths + np.stack([swing, 0.3 * swing], axis=-1) + stray


def flowing(
    rng: np.random.Generator,
    hair: Hair,
    count: int,
    start: tuple[float, float],
    end: tuple[float, float],
    hanging: float,
) -> np.ndarray:
    """Draws strands from the parting around the skull and down.

    Args:
      rng: The random generator.
      hair: The hairstyle.
      count: Number of strands.
      start: Range of the radius at which strands leave the parting.
      end: Range of the radius at which strands leave the skull.
      hanging: Share of the hair's length that hangs, in [0, 1].

    Returns:
      [count, points, 2].
    """
    side = rng.choice([-1.0, 1.0], (count, 1))
    layer = rng.random((count, 1))
    arc = np.linspace(0, 1, 10)
    last = side * (1.65 + 0.25 * rng.random((count, 1)))
    angle = hair.parting + rng.normal(0, 0.05, (count, 1)) + arc * (last - hair.parting)
    radius = start[0] + layer * (start[1] - start[0])
    radius = radius + (end[0] + layer * (end[1] - end[0]) - radius) * np.sqrt(arc)
    around = skull_points(angle, radius)
    # From the last point on the skull, strands hang down and away from it.
    drop = np.linspace(0, 1, 13)[1:]
    length = hair.length * hanging * (1 - 0.35 * rng.random((count, 1)) ** 2)
    flare = rng.normal(0.04, 0.05) + rng.normal(0, 0.03 * hair.frizz, (count, 1))
    flare = flare * np.sin(np.pi * 0.7 * drop) + 0.16 * (layer - 0.3) * drop
    x = around[:, -1:, 0] + side * flare * min(1, 2 * hair.length)
    y = around[:, -1:, 1] + length * drop
    return _swing(rng, hair, np.concatenate([around, np.stack([x, y], axis=-1)], axis=1))


def tufts(rng: np.random.Generator, hair: Hair, count: int) -> np.ndarray:
    """Draws strands [n, points, 2] that stand off the skull, combed to a side or curled."""
    angle = rng.uniform(-1.75, 1.75, (count, 1))
    inner = hairline(angle)
    spread = 1.0 + (0.6 * hair.length if hair.style == 'curly' else 0.0) - inner
    root = skull_points(angle, inner + spread * np.sqrt(rng.random((count, 1))))
    comb = np.sign(hair.parting) * (0.9 if hair.style == 'short' else 0.3)
    curl = {'curly': 0.9, 'messy': 0.25}.get(hair.style, 0.08)
    steps = 12
    turn = rng.normal(0, curl, (count, 1)) + rng.normal(0, curl * 0.4, (count, steps))
    heading = angle + comb * np.cos(angle) + rng.normal(0, 0.3 * hair.frizz, (count, 1))
    heading = heading + np.cumsum(turn, axis=1)
    # Hair at the sides is shorter.
    length = hair.length * (0.45 + 0.55 * np.cos(angle / 1.3)) * rng.uniform(0.5, 1.15, (count, 1))
    length = length * (1.6 if hair.style == 'curly' else 1.0)
    step = length / steps * np.stack([np.sin(heading), -np.cos(heading)], axis=0)
    paths = root + np.cumsum(np.moveaxis(step, 0, -1), axis=1)
    # Strands that would hang into the face are left out.
    inside = np.square(paths[..., 0] / 0.31) + np.square((paths[..., 1] - 0.1) / 0.42) < 1
    return paths[~inside.any(axis=1)]


def fringe(rng: np.random.Generator, hair: Hair, count: int) -> np.ndarray:
    """Draws strands [count, points, 2] over the forehead."""
    angle = rng.uniform(-0.9, 0.9, (count, 1))
    down = np.linspace(0, 1, 10)
    root = skull_points(angle, rng.uniform(0.6, 0.95, (count, 1)))
    end_x = root[..., 0] * 1.1 + 0.1 * hair.parting + rng.normal(0, 0.02 * hair.frizz, (count, 1))
    end_y = -0.13 - 0.1 * rng.random((count, 1)) + 0.1 * np.abs(end_x)
    x = root[..., 0] + (end_x - root[..., 0]) * down
    y = root[..., 1] + (end_y - root[..., 1]) * down**1.3
    return np.stack([x, y], axis=-1)


def combed_back(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws strands [count, points, 2] from the hairline to the top of the head."""
    angle = rng.uniform(-1.7, 1.7, (count, 1))
    back = np.linspace(0, 1, 12)
    inner = hairline(angle)
    radius = inner + (1.02 - inner) * back
    return skull_points(angle * (1 - 0.6 * back), radius + rng.normal(0, 0.012, (count, 1)))


def coiled(rng: np.random.Generator, y: float, radius: float, count: int) -> np.ndarray:
    """Draws strands [count, points, 2] around a bun of a radius at height `y`."""
    turns = rng.uniform(0, 2 * np.pi, (count, 1)) + np.linspace(0, 2.5, 14)
    away = radius * np.sqrt(rng.uniform(0.05, 1.15, (count, 1)))
    return np.stack([away * np.sin(turns), y - 0.9 * away * np.cos(turns)], axis=-1)


def straying(rng: np.random.Generator, paths: np.ndarray, count: int) -> np.ndarray:
    """Draws copies [count, points, 2] of random strands that diverge from them to their ends."""
    chosen = paths[rng.integers(len(paths), size=count)]
    points = chosen.shape[1]
    stray = np.cumsum(rng.normal(0, 0.012, (count, points, 2)), axis=1)
    outwards = chosen - _MIDDLE
    outwards[..., 1] = np.minimum(outwards[..., 1], 0)
    away = rng.exponential(0.12, (count, 1, 1)) * outwards
    return chosen + np.linspace(0, 1, points)[:, None] ** 1.5 * (stray + away)
