"""Random hairstyles of synthetic portraits: cut, fall and colour."""

from __future__ import annotations

import dataclasses

import numpy as np

from mattingjax.data.synthetic.textures import random_colour

_COLOURS = np.array(
    [
        (18, 16, 18),
        (38, 28, 24),
        (70, 46, 32),
        (105, 68, 42),
        (130, 60, 35),
        (178, 135, 82),
        (222, 190, 138),
        (150, 148, 146),
        (225, 224, 222),
    ],
    np.float32,
)
# The probability of each style.
_STYLES = {
    'long': 0.26,
    'bob': 0.13,
    'bun': 0.09,
    'braids': 0.06,
    'short': 0.2,
    'messy': 0.08,
    'curly': 0.08,
    'buzz': 0.06,
    'bald': 0.04,
}

# The shortest and longest length of each style, in heights of the head.
_LENGTHS = {
    'long': (0.8, 2.0),
    'bob': (0.2, 0.55),
    'bun': (0, 0),
    'braids': (0.3, 1.6),
    'short': (0.05, 0.14),
    'messy': (0.14, 0.26),
    'curly': (0.16, 0.45),
    'buzz': (0.015, 0.03),
    'bald': (0, 0),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Hair:
    """The hair of one person.

    Attributes:
      style: 'long', 'bob', 'bun', 'braids', 'short', 'messy', 'curly', 'buzz' or 'bald'.
      colour: Colour of most strands, float32 [3] in [0, 1].
      gloss: Colour of the lightest strands, float32 [3] in [0, 1].
      length: Length of hanging hair below the ears, or of tufts, in heights of the head.
      parting: Angle of the parting from the top of the head, in radians.
      volume: How far the hair stands off the skull, as a share of the skull's radius.
      wave: How far strands swing to either side, in heights of the head.
      frizz: How much strands differ from one another, about 1.
      fringe: Whether hair hangs over the forehead.
      flyaways: Number of single hairs that leave the others.
    """

    style: str
    colour: np.ndarray
    gloss: np.ndarray
    length: float
    parting: float
    volume: float
    wave: float
    frizz: float
    fringe: bool
    flyaways: int


def create_hair(rng: np.random.Generator, covered: bool) -> Hair:
    """Draws style and colour at random.

    Args:
      rng: The random generator.
      covered: Whether a hat covers the hair, which then lies flat.
    """
    style = str(rng.choice(list(_STYLES), p=list(_STYLES.values())))
    if covered and style not in ('long', 'bob', 'braids', 'bald'):
        style = 'buzz'
    colour = _COLOURS[rng.integers(len(_COLOURS))] / 255 * rng.uniform(0.8, 1.2)
    if rng.random() < 0.06:
        colour = random_colour(rng, (0.4, 0.9), (0.3, 0.9))
    gloss = np.clip(colour * rng.uniform(1.4, 2.1) + 0.05, 0, 1)
    low, high = _LENGTHS[style]
    wavy = rng.random() < 0.5
    return Hair(
        style=style,
        colour=colour.astype(np.float32),
        gloss=gloss.astype(np.float32),
        length=float(rng.uniform(low, high)),
        parting=float(rng.normal(0, 0.35)),
        volume=0.02 if covered else float(rng.uniform(0.02, 0.2)),
        wave=float(rng.uniform(0.02, 0.07) if wavy else rng.uniform(0, 0.015)),
        frizz=float(rng.uniform(0.5, 1.6)),
        fringe=bool(rng.random() < 0.35),
        flyaways=int(rng.choice([20, 80, 200], p=[0.4, 0.4, 0.2])),
    )
