"""A dataset of synthetic portraits: random persons before random backgrounds."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any, NamedTuple

import cv2
import numpy as np

from mattingjax.data.records import Record
from mattingjax.data.synthetic.backgrounds import paint_background
from mattingjax.data.synthetic.body import paint_body
from mattingjax.data.synthetic.drawing import Figure
from mattingjax.data.synthetic.hair import paint_back_hair, paint_front_hair
from mattingjax.data.synthetic.hairstyles import create_hair
from mattingjax.data.synthetic.hats import paint_hat
from mattingjax.data.synthetic.head import paint_head
from mattingjax.data.synthetic.person import create_person
from mattingjax.errors import MattingError
from mattingjax.images.compositing import composite, to_uint8

_VERSION = 3  # to be raised by every change that alters the pictures


class Portrait(NamedTuple):
    """The parts of a portrait.

    Attributes:
      foreground: The person's colours, uint8 [S, S, 3], extended to where there is no person.
      alpha: float32 [S, S] in [0, 1], the share of each pixel that the person covers.
      background: uint8 [S, S, 3].
    """

    foreground: np.ndarray
    alpha: np.ndarray
    background: np.ndarray


@dataclasses.dataclass(frozen=True)
class SyntheticPortraits:
    """A dataset of drawn people, for training and tests without any download.

    A record depends only on the seed, its index and the size, not on the number of records. Other
    machines draw the same; other versions of OpenCV or NumPy may change the last bit. At another
    size a record shows the same scene with other resolution.

    Attributes:
      count: Number of records, at least 1.
      size: Side S of the portraits in pixels, 32 to 2048.
      seed: Random seed, at least 0.
    """

    count: int
    size: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (('count', 1, None), ('size', 32, 2048), ('seed', 0, None)):
            value = getattr(self, name)
            expected = f'at least {least}' if most is None else f'from {least} to {most}'
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < least or (most is not None and value > most):
                raise MattingError(f'{name}: expected a whole number {expected}, got {value!r}')

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Record:
        """Draws a record.

        Returns:
          `image` and `foreground`, uint8 [S, S, 3]; `alpha`, float32 [S, S] in [0, 1]; `name`.
        """
        index = range(self.count)[operator.index(index)]
        portrait = render_portrait(self.seed, index, self.size)
        return {
            'image': composite(*portrait),
            'alpha': portrait.alpha,
            'foreground': portrait.foreground,
            'name': f'synthetic_{self.seed}_{index:06d}',
        }

    def describe(self) -> dict[str, Any]:
        """Everything that the records depend on, as JSON types."""
        return {'size': int(self.size), 'seed': int(self.seed), 'version': _VERSION}


def render_portrait(seed: int, index: int, size: int) -> Portrait:
    """Draws one portrait.

    Args:
      seed: Random seed, at least 0.
      index: The number of the portrait, at least 0.
      size: Its side S in pixels.
    """
    streams = np.random.default_rng([seed, index]).spawn(6)
    scene_rng, person_rng, hair_rng, clothes_rng, face_rng, light_rng = streams
    background = paint_background(scene_rng, size)
    nearby = cv2.resize(background, (6, 6), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    person = create_person(person_rng, nearby)
    has_hat = clothes_rng.random() < 0.12
    hair = create_hair(hair_rng, has_hat)

    figure = Figure(size)
    paint_back_hair(figure, hair_rng, person, hair)
    paint_body(figure, clothes_rng, person)
    paint_head(figure, face_rng, person, hair.colour)
    paint_front_hair(figure, hair_rng, person, hair)
    if has_hat:
        paint_hat(figure, clothes_rng, person)

    exposure, warmth = light_rng.uniform(0.7, 1.1), light_rng.normal(0, 0.05)
    gain = exposure * np.array([1 + warmth, 1 + light_rng.normal(0, 0.015), 1 - warmth])
    return Portrait(
        to_uint8(figure.colours() * gain.astype(np.float32)),
        figure.alpha(),
        to_uint8(background * gain.astype(np.float32)),
    )
