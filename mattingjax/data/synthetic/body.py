"""Paints the body of a synthetic portrait: torso, neck, arms and legs, and their clothes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mattingjax.data.synthetic.drawing import (
    Figure,
    Frame,
    Region,
    Stencil,
    curve,
    ellipse,
    limb,
    mirrored,
)
from mattingjax.data.synthetic.painting import Painting
from mattingjax.data.synthetic.person import Person
from mattingjax.data.synthetic.textures import (
    Cloth,
    cloth_colour,
    create_cloth,
    random_colour,
    relief,
)


def paint_body(figure: Figure, rng: np.random.Generator, person: Person) -> None:
    """Paints everything below the chin."""
    shoulder = float(rng.uniform(0.78, 1.02))
    waist = float(rng.uniform(0.58, 0.74)) * shoulder
    hip = float(rng.uniform(0.58, 0.75))
    top, bottom = (create_cloth(rng, colour) for colour in person.clothes)
    if person.body.y + 3.1 * person.body.scale < 1:
        _paint_legs(figure, rng, person, bottom, hip)
    sleeve = str(rng.choice(['long', 'short', 'none', 'vest'], p=[0.5, 0.22, 0.08, 0.2]))
    poses = [_arm_pose(rng, side) for side in (-1, 1)]
    for pose in poses:
        if not pose.before:
            _paint_arm(figure, rng, person, top, sleeve, pose, shoulder)
    _paint_torso(figure, rng, person, top, (shoulder, waist, hip), vest=sleeve == 'vest')
    _paint_neck(figure, rng, person, top)
    for pose in poses:
        if pose.before:
            _paint_arm(figure, rng, person, top, sleeve, pose, shoulder)
    if rng.random() < 0.15:
        _paint_bag(figure, rng, person, shoulder, hip)


def _stencil(figure: Figure, person: Person, *outlines: np.ndarray) -> Stencil:
    """A stencil of filled outlines [n, 2] in the body's frame."""
    stencil = Stencil(figure.size)
    stencil.fill(*(person.body(outline) for outline in outlines))
    return stencil


def _dress(
    figure: Figure,
    rng: np.random.Generator,
    person: Person,
    cloth: Cloth,
    stencil: Stencil,
    reach: float = 0.06,
) -> None:
    """Paints a garment, shaded by `relief` with the given reach."""

    def surface(region: Region, coverage: np.ndarray) -> np.ndarray:
        light = relief(coverage, person.light, reach)
        return cloth.surface(rng, region, person.body.scale) * (1 + 0.4 * light[..., None])

    figure.paint(stencil, surface)


def _bare(figure: Figure, person: Person, colour: np.ndarray, stencil: Stencil) -> None:
    """Paints skin or another smooth surface."""

    def surface(_: Region, coverage: np.ndarray) -> np.ndarray:
        return colour * (1 + 0.35 * relief(coverage, person.light, 0.05)[..., None])

    figure.paint(stencil, surface)


def _paint_torso(
    figure: Figure,
    rng: np.random.Generator,
    person: Person,
    cloth: Cloth,
    widths: tuple[float, float, float],
    *,
    vest: bool,
) -> None:
    """Paints the torso in one garment; a vest leaves the shoulders bare.

    `widths` are half the widths of shoulders, waist and hip, in heights of the head.
    """
    shoulder, waist, hip = widths
    hem = float(rng.choice([3.3, 3.6, 4.6], p=[0.45, 0.4, 0.15]) + rng.normal(0, 0.1))
    shoulders = [(0.5 * shoulder, 0.24), (0.88 * shoulder, 0.42), (shoulder, 0.72)]
    trunk = [(0.84 * shoulder, 1.2), (waist, 2.1), (hip, 2.9), (hip * 1.03, hem)]
    outline = mirrored([(0.24, 0.08), *shoulders, *trunk])
    if vest:
        strap = float(rng.uniform(0.45, 0.7)) * shoulder
        skin = person.skin * np.float32(0.96)
        _bare(figure, person, skin, _stencil(figure, person, curve(outline, closed=True)))
        # The strap begins below the shoulder, so that the smooth curve stays inside the body.
        high = float(np.interp(strap, *np.transpose([(0.24, 0.08), *shoulders]))) + 0.08
        armhole = [(strap, high), (0.93 * strap, 0.7), (0.8 * shoulder, 1.2)]
        outline = mirrored([(0.24, 0.17), *armhole, *trunk[1:]])

    def surface(region: Region, coverage: np.ndarray) -> np.ndarray:
        light = relief(coverage, person.light)[..., None]
        colours = cloth.surface(rng, region, person.body.scale) * (1 + 0.3 * light)
        front = Painting(colours, region, person.body)
        if vest:
            _trim_vest(front, rng, armhole, person.body.scale)
        else:
            _trim(front, rng, cloth, shoulder)
        return front.colours

    figure.paint(_stencil(figure, person, curve(outline, closed=True)), surface)


def _trim(front: Painting, rng: np.random.Generator, cloth: Cloth, shoulder: float) -> None:
    """Paints lapels and a tie, buttons or an apron on the torso."""
    other, dark = cloth_colour(rng), cloth.colour * rng.uniform(0.3, 0.7)
    both = np.array([[[-1, 1]], [[1, 1]]])
    kind = rng.choice(['none', 'jacket', 'buttons', 'apron'], p=[0.5, 0.25, 0.2, 0.05])
    if kind == 'jacket':
        low = rng.uniform(1.4, 2.6)
        front.fill([(-0.22, 0.05), (0.22, 0.05), (0.06, low), (-0.06, low)], other)
        if rng.random() < 0.4:
            tie = [(-0.05, 0.3), (0.05, 0.3), (0.1, 0.8 * low), (0, low), (-0.1, 0.8 * low)]
            front.fill(tie, random_colour(rng, (0.3, 0.9), (0.1, 0.8)))
        lapel = [(0.2, 0.08), (0.42, 0.45), (0.3, 0.6), (0.36, 0.7), (0.06, low), (0.05, low)]
        for outline in np.array(lapel) * both:
            front.fill(outline, dark)
    elif kind == 'buttons':
        front.fill([(-0.012, 0.2), (0.012, 0.2), (0.012, 3.5), (-0.012, 3.5)], dark)
        for y in np.arange(0.55, 3.4, 0.4):
            front.fill(ellipse((0.04, y), (0.03, 0.03)), other)
    elif kind == 'apron':
        wide = shoulder * 0.5
        front.fill([(-wide, 1.0), (wide, 1.0), (wide * 1.4, 3.4), (-wide * 1.4, 3.4)], other)
        strap = [(wide * 0.8, 1.05), (wide * 0.8 - 0.08, 1.05), (0.32, 0.12), (0.4, 0.16)]
        for outline in np.array(strap) * both:
            front.fill(outline, other)


def _trim_vest(
    front: Painting,
    rng: np.random.Generator,
    armhole: list[tuple[float, float]],
    unit: float,
) -> None:
    """Paints bands along the armholes, and random patches; `unit` is the scale of the body."""
    other, third = (random_colour(rng, (0.0, 0.9), (0.1, 1.0)) for _ in range(2))
    for side in (-1, 1):
        edge = curve(np.array(armhole) * (side, 1))
        front.line(edge, other, float(rng.uniform(0.06, 0.16)) * unit)
        front.line(edge, third, float(rng.uniform(0.0, 0.05)) * unit)
    for _ in range(rng.integers(3)):
        x, y = rng.uniform(-0.5, 0.4), rng.uniform(0.75, 1.8)
        front.box((x, y), (x + rng.uniform(0.08, 0.4), y + rng.uniform(0.08, 0.4)), third)


def _paint_neck(figure: Figure, rng: np.random.Generator, person: Person, cloth: Cloth) -> None:
    """Paints the neck down to the neckline, and at random a collar, a roll neck or a scarf."""
    wide = 0.235 * person.width
    low = float(rng.choice([0.22, 0.34, 0.7], p=[0.45, 0.35, 0.2]) + rng.uniform(0, 0.1))
    neckline = 0.27 if low < 0.4 else 0.36
    outline = [
        (0, -0.35),
        (wide, -0.3),
        (wide, 0.02),
        (neckline, 0.15),
        (neckline * 0.6, low * 0.8),
        (0, low),
    ]

    def skin(region: Region, _: np.ndarray) -> np.ndarray:
        x, y = person.body.inverse(*region.grid())
        # The chin casts a shadow, and the neck is round.
        shadow = 0.45 * np.exp(-np.square((y - 0.02) / 0.16)) + 0.12 * np.square(x / wide)
        return person.skin * np.array([0.97, 0.92, 0.9], np.float32) * (1 - shadow[..., None])

    figure.paint(_stencil(figure, person, mirrored(outline)), skin)
    kind = rng.choice(['none', 'collar', 'roll', 'scarf'], p=[0.5, 0.25, 0.15, 0.1])
    if kind == 'collar':
        right = np.array([(0.2, 0.0), (0.27, 0.02), (0.36, 0.3), (0.2, 0.42), (0.03, 0.25)])
        band = _stencil(figure, person, right, right * (-1, 1))
    elif kind != 'none':
        low, thick = (0.2, 0.02) if kind == 'roll' else (0.42, 0.12)
        ring = [(0, -0.02), (wide + thick, -0.1), (wide + thick * 1.8, 0.15), (0.2, low)]
        right = mirrored([*ring, (0, low + 0.03)])
        band = _stencil(figure, person, curve(right, closed=True))
    else:
        return
    if rng.random() < 0.5:
        cloth = create_cloth(rng, cloth_colour(rng))
    _dress(figure, rng, person, cloth, band, 0.12)


class _ArmPose(NamedTuple):
    """The pose of an arm; its angles are in radians, 0 when hanging down, positive outwards."""

    side: int  # −1 on the left of the picture, 1 on the right
    upper: float
    fore: float
    before: bool  # before the torso, not behind it


def _arm_pose(rng: np.random.Generator, side: int) -> _ArmPose:
    poses = [(12, 5), (14, -12), (42, -48), (10, -95), (25, -130), (75, 165), (140, 175)]
    angles = poses[rng.choice(len(poses), p=[0.34, 0.2, 0.14, 0.14, 0.06, 0.06, 0.06])]
    upper, fore = np.deg2rad(angles) + rng.normal(0, 0.08, 2)
    return _ArmPose(side, float(upper), float(fore), angles[1] < -90)


def _paint_arm(
    figure: Figure,
    rng: np.random.Generator,
    person: Person,
    cloth: Cloth,
    sleeve: str,
    pose: _ArmPose,
    shoulder: float,
) -> None:
    joint = np.array([shoulder - 0.18, 0.66])
    elbow = joint + 1.3 * np.array([np.sin(pose.upper), np.cos(pose.upper)])
    wrist = elbow + 1.1 * np.array([np.sin(pose.fore), np.cos(pose.fore)])
    joints = np.stack([joint, (joint + elbow) / 2, elbow, (elbow + wrist) / 2, wrist])
    joints *= (pose.side, 1)
    radii = np.array([0.17, 0.15, 0.12, 0.11, 0.08])
    hand = _hand(joints[-1], joints[-1] - joints[-2])
    skin = person.skin * np.float32(0.96)
    _bare(figure, person, skin, _stencil(figure, person, *limb(joints, radii), *hand))
    if sleeve in ('long', 'short'):
        reach = 5 if sleeve == 'long' else 2
        arm = limb(joints[:reach], radii[:reach] + 0.045)
        _dress(figure, rng, person, cloth, _stencil(figure, person, *arm))


def _hand(wrist: np.ndarray, along: np.ndarray) -> list[np.ndarray]:
    """Outlines of a palm, four fingers and a thumb at the wrist, in the direction `along`."""
    angle = float(np.arctan2(-along[0], along[1]))
    place = Frame(float(wrist[0]), float(wrist[1]), 1.0, angle)
    parts = [ellipse((0, 0.12), (0.1, 0.16)), *limb([(0.06, 0.06), (0.13, 0.16)], [0.04, 0.03])]
    for x in (-0.07, -0.025, 0.02, 0.065):
        parts += limb([(x, 0.2), (x * 1.2, 0.36 - 8 * x * x)], [0.03, 0.024])
    return [place(part) for part in parts]


def _paint_legs(
    figure: Figure, rng: np.random.Generator, person: Person, cloth: Cloth, hip: float
) -> None:
    """Paints legs with shoes, in trousers, shorts or a skirt."""
    kind = rng.choice(['trousers', 'shorts', 'skirt'], p=[0.55, 0.15, 0.3])
    stance, loose = rng.uniform(0.05, 0.3, 2)
    tights = person.skin if rng.random() < 0.7 else cloth.colour * np.float32(0.5)
    leather = random_colour(rng, (0, 0.5), (0.05, 0.9))
    for side in (-1, 1):
        step = rng.normal(0, 0.08)
        knee = (hip * 0.5 + stance / 2 + step, 4.9)
        joints = np.array([(hip * 0.5, 3.1), knee, (hip * 0.45 + stance, 6.6 + step)])
        joints *= (side, 1)
        _bare(figure, person, tights, _stencil(figure, person, *limb(joints, [0.28, 0.16, 0.09])))
        foot = joints[-1] + np.array([(0, 0.12), (0.14 * side, 0.24)])
        _bare(figure, person, leather, _stencil(figure, person, *limb(foot, [0.11, 0.1])))
        if kind == 'trousers':
            leg = limb(joints, [0.36, 0.26, 0.14 + 0.4 * loose])
        else:
            leg = limb(np.stack([joints[0], joints[:2].mean(axis=0)]), [0.36, 0.28])
        if kind != 'skirt':
            _dress(figure, rng, person, cloth, _stencil(figure, person, *leg))
    if kind == 'skirt':
        hem, flare = rng.uniform(4.2, 6.2), hip * rng.uniform(1.0, 1.6)
        outline = mirrored([(hip * 0.8, 2.6), (hip, 3.1), (flare, hem), (0, hem + 0.06)])
        _dress(figure, rng, person, cloth, _stencil(figure, person, outline), 0.12)


def _paint_bag(
    figure: Figure, rng: np.random.Generator, person: Person, shoulder: float, hip: float
) -> None:
    """Paints a bag beside the hip, on a strap that may let the background show before the body."""
    side = rng.choice([-1, 1])
    x, y = hip + rng.uniform(-0.1, 0.35), rng.uniform(2.2, 3.4)
    wide, high = rng.uniform(0.25, 0.5), rng.uniform(0.3, 0.6)
    strap = [(0.55 * shoulder, 0.22), (shoulder * 0.8, 1.2), (x - wide / 2, y)]
    strap += [(x + wide / 2, y), (shoulder * 0.95, 1.2), (0.65 * shoulder, 0.26)]
    band = Stencil(figure.size)
    band.lines(person.body(curve(np.array(strap) * (side, 1)))[None], 0.05 * person.body.scale)
    leather = random_colour(rng, (0, 0.7), (0.08, 0.8))
    figure.paint(band, lambda *_: leather * np.float32(0.7))
    corners = [(x - wide, y), (x + wide, y), (x + 1.1 * wide, y + high), (x - 1.1 * wide, y + high)]
    bag = _stencil(figure, person, curve(np.array(corners) * (side, 1), closed=True, steps=6))
    _dress(figure, rng, person, create_cloth(rng, leather), bag, 0.12)
