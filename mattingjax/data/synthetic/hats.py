"""Paints the hats of synthetic portraits: caps, woollen hats, brimmed hats, headscarves."""

from __future__ import annotations

import numpy as np

from mattingjax.data.synthetic.drawing import Figure, Region, Stencil, curve, ellipse, mirrored
from mattingjax.data.synthetic.person import Person
from mattingjax.data.synthetic.textures import Cloth, cloth_colour, create_cloth, relief


def paint_hat(figure: Figure, rng: np.random.Generator, person: Person) -> None:
    """Paints a hat of a random kind on the head."""
    cloth = create_cloth(rng, cloth_colour(rng))
    kind = rng.choice(['wool', 'cap', 'brim', 'scarf'], p=[0.35, 0.3, 0.2, 0.15])
    wide = 0.4 * person.width
    if kind == 'scarf':
        _paint_headscarf(figure, rng, person, cloth, wide)
        return
    if kind == 'wool':
        high = rng.uniform(0.56, 0.68)
        crown = mirrored(
            [(0, -high), (0.24, 0.02 - high), (wide + 0.02, -0.34), (wide, -0.2), (0, -0.23)]
        )
        brim = mirrored([(0, -0.34), (wide + 0.03, -0.3), (wide + 0.03, -0.17), (0, -0.21)])
    elif kind == 'cap':
        crown = mirrored(
            [(0, -0.56), (0.25, -0.54), (wide + 0.01, -0.37), (wide, -0.2), (0, -0.25)]
        )
        peak = [(-0.3, -0.25), (0, -0.29), (0.3, -0.25), (0.27, -0.15), (-0.27, -0.15)]
        brim = np.array(peak) + np.array([0.3 * person.yaw, 0])
    else:
        high = rng.uniform(0.6, 0.75)
        crown = mirrored([(0, -high), (0.26, -high), (wide, -0.32), (0, -0.27)])
        brim = ellipse((0, -0.27), (rng.uniform(0.55, 0.85), rng.uniform(0.07, 0.14)))
    # A crown covers the brim around it, but a cap's peak and a turned-up edge cover the crown.
    for outline in (brim, crown) if kind == 'brim' else (crown, brim):
        _paint(figure, rng, person, cloth, curve(outline, closed=True))


def _paint_headscarf(
    figure: Figure, rng: np.random.Generator, person: Person, cloth: Cloth, wide: float
) -> None:
    """Paints cloth over the head, down its sides and before the neck, around the face."""
    outside = curve(
        [
            (0, -0.56),
            (0.26, -0.52),
            (wide + 0.03, -0.2),
            (wide + 0.02, 0.3),
            (0.55, 0.85 + rng.uniform(0, 0.4)),
            (0, 1.0),
        ]
    )
    face = [(0, 0.47), (0.12, 0.46), (0.26, 0.25), (0.29, -0.1), (0.2, -0.32), (0, -0.36)]
    right = np.concatenate([outside, curve(face)])
    _paint(figure, rng, person, cloth, right, right * (-1, 1))


def _paint(
    figure: Figure, rng: np.random.Generator, person: Person, cloth: Cloth, *outlines: np.ndarray
) -> None:
    stencil = Stencil(figure.size)
    stencil.fill(*map(person.head, outlines))

    def surface(region: Region, coverage: np.ndarray) -> np.ndarray:
        light = relief(coverage, person.light)
        return cloth.surface(rng, region, person.head.scale) * (1 + 0.4 * light[..., None])

    figure.paint(stencil, surface)
