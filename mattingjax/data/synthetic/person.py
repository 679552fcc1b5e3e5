"""The person of a synthetic portrait: random framing, pose and colours."""

from __future__ import annotations

import dataclasses

import numpy as np

from mattingjax.data.synthetic.drawing import Frame
from mattingjax.data.synthetic.textures import cloth_colour

_SKIN = np.array(
    [
        (255, 224, 205),
        (245, 208, 185),
        (232, 190, 160),
        (214, 168, 134),
        (190, 138, 104),
        (158, 108, 78),
        (122, 80, 58),
        (88, 58, 44),
    ],
    np.float32,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Person:
    """The properties that all parts of one person share.

    Attributes:
      body: The frame of the body. Its origin is the chin, its unit the height of the head.
      head: The frame of the head. Its origin is the middle of the head, its unit the body's.
      skin: Colour of the skin, float32 [3] in [0, 1].
      light: Unit vector towards the light, x and y in the scene.
      yaw: How far the head is turned, in [-1, 1]; positive is to the right of the picture.
      jaw: Width of the jaw, 1 on average.
      width: Width of head and neck, 1 on average.
      clothes: Main colours of top and bottom, float32 [2, 3] in [0, 1].
    """

    body: Frame
    head: Frame
    skin: np.ndarray
    light: tuple[float, float]
    yaw: float
    jaw: float
    width: float
    clothes: np.ndarray


def create_person(rng: np.random.Generator, nearby: np.ndarray) -> Person:
    """Draws the framing, the pose and the colours at random.

    Args:
      rng: The random generator.
      nearby: Colours of the background, float32 [n, 3] in [0, 1]; some clothes get one of them.
    """
    framing = rng.choice(['head', 'half', 'full'], p=[0.4, 0.35, 0.25])
    height = {'head': (0.34, 0.56), 'half': (0.2, 0.33), 'full': (0.095, 0.16)}[framing]
    unit = float(rng.uniform(*height))
    centre = 0.5 + rng.normal(0, 0.07 if framing == 'head' else 0.11)
    top = rng.uniform(0.1, 0.24) if framing != 'full' else rng.uniform(0.05, 0.16)
    lean = float(rng.normal(0, 0.05))
    body = Frame(float(np.clip(centre, 0.25, 0.75)), float(top) + unit, unit, lean)
    # The head turns about the neck, a little below the chin.
    neck = body.nested((0, 0.1), float(rng.normal(0, 0.09)))
    head = neck.nested((0, -0.6), 0)

    first = int(rng.integers(len(_SKIN) - 1))
    skin = _SKIN[first] + rng.random() * (_SKIN[first + 1] - _SKIN[first])
    clothes = np.stack([cloth_colour(rng) for _ in range(2)])
    alike = rng.random(2) < 0.3
    clothes[alike] = nearby[rng.integers(len(nearby), size=int(alike.sum()))]
    angle = rng.uniform(-1.2, 1.2)
    return Person(
        body=body,
        head=head,
        skin=(skin / 255).astype(np.float32),
        light=(float(np.sin(angle)), -float(np.cos(angle))),
        yaw=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        jaw=float(rng.uniform(0.92, 1.06)),
        width=float(rng.uniform(0.9, 1.08)),
        clothes=clothes,
    )
