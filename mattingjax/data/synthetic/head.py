"""Paints the head of a synthetic portrait: face, ears, beard, glasses."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from mattingjax.data.synthetic.drawing import (
    Figure,
    Frame,
    Region,
    Stencil,
    curve,
    ellipse,
    mirrored,
)
from mattingjax.data.synthetic.painting import Painting
from mattingjax.data.synthetic.person import Person
from mattingjax.data.synthetic.textures import noise, random_colour

_EYE = 0.165  # distance from the middle of the face, in heights of the head
_IRIS = np.array([(70, 45, 30), (95, 65, 40), (70, 90, 60), (80, 110, 140), (50, 35, 28)])


def head_outline(person: Person) -> np.ndarray:
    """The outline [n, 2] of the head without ears and hair, in the head's frame."""
    outline = mirrored(
        [
            (0, -0.5),
            (0.16, -0.47),
            (0.28, -0.37),
            (0.355, -0.18),
            (0.355, 0.06),
            (0.3 * person.jaw, 0.26),
            (0.19 * person.jaw, 0.42),
            (0.085 * person.jaw, 0.49),
            (0, 0.5),
        ]
    )
    return curve(outline * (person.width, 1), closed=True)


def paint_head(figure: Figure, rng: np.random.Generator, person: Person, hair: np.ndarray) -> None:
    """Paints ears and face; `hair` is the colour of brows and beard, float32 [3]."""
    ears = Stencil(figure.size)
    for side in (-1, 1):
        shown = 0.045 * (1 - side * person.yaw)
        ears.fill(
            person.head(ellipse((side * 0.36 * person.width, 0.02), (shown, 0.1), side * 0.15))
        )
    figure.paint(ears, lambda *_: person.skin * np.array([0.9, 0.8, 0.78], np.float32))
    head = Stencil(figure.size)
    head.fill(person.head(head_outline(person)))

    def surface(region: Region, _: np.ndarray) -> np.ndarray:
        face = Painting(_skin(rng, person, region, hair), region, functools.partial(_turn, person))
        _draw_eyes(face, rng, person, hair)
        _draw_nose_and_mouth(face, rng, person)
        kind = rng.choice(['none', 'glasses', 'sunglasses'], p=[0.76, 0.16, 0.08])
        if kind != 'none':
            _draw_glasses(face, rng, person, kind == 'sunglasses')
        return face.colours

    figure.paint(head, surface)


def _turn(person: Person, points: ArrayLike) -> np.ndarray:
    """Maps points of a turned face to the scene; its middle moves further than its sides."""
    points = np.array(points, np.float64)
    points[..., 0] += 0.12 * person.yaw * (1 - np.square(points[..., 0] / 0.45))
    return person.head(points)


def _skin(rng: np.random.Generator, person: Person, region: Region, hair: np.ndarray) -> np.ndarray:
    """Colours of the lit skin, at random with a beard: float32 [h, w, 3]."""
    x, y = person.head.inverse(*region.grid())
    turned = x - 0.12 * person.yaw
    # The face is shaded as a bulge that is lit from the front and from the side of the light.
    light_x, light_y = Frame(0, 0, 1, person.head.angle).inverse(*person.light)
    depth = np.sqrt(np.clip(1 - np.square(x / 0.44) - np.square(y / 0.62), 0.02, 1))
    lit = 0.62 + 0.36 * depth + 0.3 * (x / 0.44 * light_x + y / 0.62 * light_y)

    def bump(middle: tuple[float, float], width: float, height: float) -> np.ndarray:
        across = np.square((turned - middle[0]) / width) + np.square((y - middle[1]) / height)
        return np.exp(-across)

    lit -= 0.16 * (bump((-_EYE, -0.03), 0.1, 0.06) + bump((_EYE, -0.03), 0.1, 0.06))
    lit += 0.1 * bump((0.02 * np.sign(light_x), 0.1), 0.035, 0.16)
    lit -= 0.12 * bump((-0.05 * np.sign(light_x), 0.12), 0.03, 0.13)
    lit -= 0.12 * bump((0, 0.4), 0.1, 0.03)
    lit += 0.02 * noise(rng, region.shape, 12, 3)
    flush = 0.07 * (bump((-0.2, 0.16), 0.11, 0.09) + bump((0.2, 0.16), 0.11, 0.09))
    skin = person.skin * lit[..., None]
    skin *= 1 - flush[..., None] * np.array([0, 1, 0.8])
    if rng.random() < 0.3:  # a beard, from stubble to full
        dense = rng.uniform(0.2, 0.95)
        jaw = np.clip((np.abs(turned) / 0.33) ** 2 * 0.35 + (y - 0.2) / 0.16, 0, 1)
        jaw = jaw * np.clip((y - 0.02) / 0.1, 0, 1) * (1 - 0.9 * bump((0, 0.31), 0.1, 0.03))
        speckle = 1 + 0.35 * noise(rng, region.shape, 48, 2)
        share = np.clip(jaw * dense * speckle, 0, 0.95)[..., None]
        skin += share * (hair * (0.5 + 0.5 * lit[..., None]) - skin)
    return np.clip(skin, 0, 1).astype(np.float32)


def _draw_eyes(face: Painting, rng: np.random.Generator, person: Person, hair: np.ndarray) -> None:
    """Eyes and brows."""
    unit, dark = person.head.scale, person.skin * 0.35
    opened, lift, bushy = rng.uniform(0.02, 0.036), rng.normal(0, 0.01), rng.uniform(0.018, 0.032)
    iris = _IRIS[rng.integers(len(_IRIS))] / 255
    white = np.array([0.93, 0.91, 0.89]) * (0.55 + 0.4 * person.skin[0])
    for side in (-1, 1):
        x = side * _EYE
        face.fill(ellipse((x, 0), (0.075, opened)), white)
        face.fill(ellipse((x, -0.002), (0.031, min(0.031, opened))), iris)
        face.fill(ellipse((x, -0.002), (0.014, 0.014)), iris * 0.2)
        face.fill(ellipse((x + 0.012, -0.012), (0.007, 0.007)), np.ones(3))
        lid = [(x - 0.08, 0.006), (x - 0.04, -opened), (x + 0.04, -opened), (x + 0.08, 0.006)]
        face.line(curve(lid), dark * 0.6, 0.014 * unit)
        brow = [(x - side * 0.075, -0.085), (x, -0.108 - lift), (x + side * 0.09, -0.083 + lift)]
        face.line(curve(brow), hair * 0.7 + dark * 0.2, bushy * unit)


def _draw_nose_and_mouth(face: Painting, rng: np.random.Generator, person: Person) -> None:
    unit, skin = person.head.scale, person.skin
    for side in (-1, 1):
        face.fill(ellipse((side * 0.037, 0.19), (0.017, 0.01)), skin * 0.35)
        wing = np.array([(0.06, 0.15), (0.07, 0.18), (0.05, 0.195)]) * (side, 1)
        face.line(curve(wing), skin * 0.6, 0.01 * unit)

    wide, corner = rng.uniform(0.1, 0.14), 0.31 - rng.uniform(-0.01, 0.035)
    lips = skin * np.array([0.85, 0.58, 0.58]) + np.array([0.06, 0, 0.01])
    if rng.random() < 0.2:
        lips = random_colour(rng, (0.5, 0.8), (0.4, 0.8)) * 0.3 + np.array([0.45, 0.05, 0.1])
    opened = rng.uniform(0.02, 0.045) if rng.random() < 0.3 else 0.0
    upper = [(-wide, corner), (-0.03, 0.288), (0, 0.294), (0.03, 0.288), (wide, corner)]
    lower = [(wide * 0.6, 0.335 + opened), (0, 0.35 + opened), (-wide * 0.6, 0.335 + opened)]
    face.fill(curve(upper + lower, closed=True), lips)
    middle = [(-wide, corner), (0, 0.314), (wide, corner)]
    if opened:
        teeth = [*middle, (wide * 0.5, 0.325 + opened), (-wide * 0.5, 0.325 + opened)]
        face.fill(curve(teeth, closed=True), np.array([0.9, 0.88, 0.85]))
    else:
        face.line(curve(middle), skin * 0.35, 0.011 * unit)


def _draw_glasses(face: Painting, rng: np.random.Generator, person: Person, dark: bool) -> None:
    frame, thick = random_colour(rng, (0, 0.6), (0.03, 0.5)), 0.017 * person.head.scale
    width, height = rng.uniform(0.1, 0.13), rng.uniform(0.065, 0.105)
    for side in (-1, 1):
        rim = ellipse((side * _EYE, 0.01), (width, height))
        if dark:
            face.fill(rim, frame * 0.4)
        face.line(np.concatenate([rim, rim[:1]]), frame, thick)
        temple = np.array([(_EYE + width, -0.02), (0.32, -0.03), (0.4, -0.02)])
        face.line(temple * (side, 1), frame, thick)
    face.line([(-_EYE + width, 0), (0, -0.015), (_EYE - width, 0)], frame, thick)
