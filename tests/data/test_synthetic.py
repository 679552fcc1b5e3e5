import dataclasses
import hashlib
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mattingjax import MattingError
from mattingjax.data.synthetic import SyntheticPortraits, render_portrait
from mattingjax.data.synthetic.body import _paint_torso, paint_body
from mattingjax.data.synthetic.drawing import Figure, Frame, Stencil, curve, ellipse, limb
from mattingjax.data.synthetic.person import create_person
from mattingjax.data.synthetic.textures import create_cloth, noise


def coverage(stencil: Stencil) -> np.ndarray:
    """What a stencil covers of the picture, [S, S]."""
    figure = Figure(stencil.size)
    figure.paint(stencil, lambda *_: np.ones(3, np.float32))
    return figure.alpha()


def digest(record: dict) -> str:
    content = b''.join(record[name].tobytes() for name in ('image', 'alpha', 'foreground'))
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize('size', [33, 64, 250])
def test_a_record_has_the_promised_types(size):
    record = SyntheticPortraits(3, size, seed=5)[1]
    assert set(record) == {'image', 'alpha', 'foreground', 'name'}
    for name in ('image', 'foreground'):
        assert record[name].dtype == np.uint8
        assert record[name].shape == (size, size, 3)
    assert record['alpha'].dtype == np.float32
    assert record['alpha'].shape == (size, size)
    assert record['alpha'].min() == 0
    assert record['alpha'].max() == 1
    assert record['name'] == 'synthetic_5_000001'


def test_a_record_depends_on_seed_index_and_size_alone():
    short, long = SyntheticPortraits(3, 48, 7), SyntheticPortraits(np.int64(900), 48, 7)
    assert digest(short[2]) == digest(long[np.int64(2)]) == digest(short[-1])
    assert digest(pickle.loads(pickle.dumps(short))[2]) == digest(short[2])
    others = [short[0], short[1], SyntheticPortraits(3, 48, 8)[2]]
    assert len({digest(record) for record in [short[2], *others]}) == 4
    assert repr(short) == 'SyntheticPortraits(count=3, size=48, seed=7)'


def test_a_record_is_the_same_in_another_process():
    code = (
        'from tests.data.test_synthetic import digest, SyntheticPortraits;'
        'print(digest(SyntheticPortraits(9, 40, 1)[8]))'
    )
    process = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == digest(SyntheticPortraits(9, 40, 1)[8])


def test_an_index_out_of_range_ends_iteration():
    dataset = SyntheticPortraits(2, 32)
    assert len(dataset) == len(list(dataset)) == 2
    with pytest.raises(IndexError):
        dataset[2]


def test_the_image_is_the_composition_of_its_parts():
    portrait = render_portrait(2, 3, 96)
    record = SyntheticPortraits(4, 96, 2)[3]
    alpha = portrait.alpha.astype(np.float64)[..., None]
    exact = alpha * portrait.foreground + (1 - alpha) * portrait.background
    assert np.abs(record['image'] - exact).max() <= 0.501
    np.testing.assert_array_equal(record['alpha'], portrait.alpha)
    person, empty = portrait.alpha == 1, portrait.alpha == 0
    np.testing.assert_array_equal(record['image'][person], portrait.foreground[person])
    np.testing.assert_array_equal(record['image'][empty], portrait.background[empty])


def test_every_picture_has_a_person_with_soft_edges():
    for index in range(40):
        alpha = render_portrait(0, index, 64).alpha
        assert 0.06 < alpha.mean() < 0.8, index
        soft = (alpha > 0.02) & (alpha < 0.98)
        assert soft.mean() > 0.01, index
        # The person is of one piece but for a few hairs.
        _, _, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.5).astype(np.uint8))
        areas = stats[1:, cv2.CC_STAT_AREA]
        assert areas.max() > 0.95 * areas.sum(), index


def test_another_size_is_the_same_scene():
    for index in range(4):
        fine, coarse = render_portrait(1, index, 256), render_portrait(1, index, 64)
        alpha = cv2.resize(fine.alpha, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(alpha - coarse.alpha).mean() < 0.005
        image = cv2.resize(fine.background, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(image.astype(float) - coarse.background).mean() < 12


@pytest.mark.parametrize('angle', [0, 17, 45, 71, 90])
@pytest.mark.parametrize('points', [1.3, 3.3, 9.3])
def test_a_strand_covers_its_length_times_its_width(angle, points):
    size = 128
    width, length = points / 2048, 0.6
    stencil = Stencil(size)
    frame = Frame(0.503, 0.498, length / 2, np.deg2rad(angle))
    stencil.lines(frame([[(-1, 0), (1, 0)]]), width)
    covered = coverage(stencil)
    # An end may be round: half a circle more.
    assert covered.sum() / size**2 == pytest.approx(length * width, rel=0.13, abs=width**2)
    assert covered.max() <= min(1, 1.6 * width * size)


@pytest.mark.parametrize('size', [64, 256, 512])
def test_a_filled_shape_covers_its_area(size):
    stencil = Stencil(size)
    radius = 0.31
    stencil.fill(curve(ellipse((0.5, 0.52), (radius, radius)), closed=True))
    area = coverage(stencil).sum() / size**2
    # OpenCV's outlines are up to a point of the fine grid wider.
    assert np.pi * radius**2 * 0.999 < area < np.pi * (radius + 1.5 / 1024) ** 2


def test_an_edge_within_a_pixel_gives_its_share():
    size = 64
    for share in (0.25, 0.5, 0.75):
        stencil = Stencil(size)
        right = (10 + share) / size
        stencil.fill(np.array([(0.0, 0), (right, 0), (right, 1), (0, 1)]))
        row = coverage(stencil)[30]
        assert row[9] == 1
        assert row[10] == pytest.approx(share, abs=0.05)
        assert row[11] == 0


def test_a_shape_outside_the_picture_is_not_drawn():
    stencil = Stencil(32)
    stencil.fill(ellipse((1.5, 0.5), (0.2, 0.2)))
    figure = Figure(32)
    figure.paint(stencil, lambda *_: pytest.fail('asked for colours'))
    assert figure.alpha().max() == 0


def test_no_background_shows_between_two_layers():
    figure, seam = Figure(64), 20.5 / 64
    for left, right, colour in ((0.1, seam, (1, 0, 0)), (seam, 0.8, (0, 0, 1))):
        stencil = Stencil(64)
        stencil.fill(np.array([(left, 0.2), (right, 0.2), (right, 0.9), (left, 0.9)]))
        figure.paint(stencil, lambda *_, c=colour: np.array(c, np.float32))
    alpha, colours = figure.alpha(), figure.colours()
    assert (alpha[20:50, 10:45] == 1).all()
    mixed = colours[30, 20]
    assert mixed[0] > 0.2
    assert mixed[2] > 0.2
    np.testing.assert_allclose(colours[30, 10], (1, 0, 0), atol=1e-5)
    np.testing.assert_allclose(colours[30, 40], (0, 0, 1), atol=1e-5)


def test_colours_go_on_beyond_the_edge():
    figure = Figure(64)
    stencil = Stencil(64)
    stencil.fill(ellipse((0.4, 0.5), (0.2, 0.2)))
    colour = np.array([0.2, 0.5, 0.7], np.float32)
    figure.paint(stencil, lambda *_: colour)
    assert np.abs(figure.colours() - colour).max() < 0.01


def test_a_sharply_bent_limb_has_no_hole():
    stencil = Stencil(128)
    stencil.fill(*limb([(0.2, 0.2), (0.7, 0.5), (0.25, 0.6)], [0.1, 0.09, 0.05]))
    inside = (coverage(stencil) > 0.5).astype(np.uint8)
    contours, hierarchy = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    assert len(contours) == 1
    assert (hierarchy[0, :, 3] == -1).all()


def test_a_frame_and_its_inverse():
    frame = Frame(0.3, 0.6, 0.2, 0.4).nested((0.5, -0.5), -1.1)
    points = np.random.default_rng(0).normal(size=(20, 2))
    back = np.stack(frame.inverse(*frame(points).T), axis=-1)
    np.testing.assert_allclose(back, points, atol=1e-12)


def test_noise_is_the_same_at_every_size():
    fine, coarse = (noise(np.random.default_rng(4), (n, n), 4) for n in (256, 64))
    mean = cv2.resize(fine, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(mean - coarse).max() < 0.2 < coarse.std()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'count': 0}, 'count: expected a whole number at least 1, got 0'),
        ({'size': 16}, 'size: expected a whole number from 32 to 2048, got 16'),
        ({'size': 64.0}, r'size: .* got 64\.0'),
        ({'size': True}, 'size: .* got True'),
        ({'seed': -1}, 'seed: expected a whole number at least 0, got -1'),
        ({'count': 'many'}, "count: .* got 'many'"),
    ],
)
def test_impossible_values_are_named(options, message):
    with pytest.raises(MattingError, match=message):
        SyntheticPortraits(**({'count': 5, 'size': 64} | options))


def dressed_in_blue(rng, vest, shoulder):
    person = create_person(np.random.default_rng(3), np.zeros((4, 3), np.float32))
    person = dataclasses.replace(person, body=Frame(0.5, 0.3, 0.3))
    figure = Figure(200)
    cloth = create_cloth(np.random.default_rng(0), np.float32([0, 0, 1]))
    _paint_torso(figure, rng, person, cloth, (shoulder, 0.6, 0.6), vest=vest)
    return figure, person.body


@pytest.mark.parametrize('shoulder', [0.78, 1.02])
def test_a_vest_leaves_the_shoulders_bare(shoulder):
    alphas, blue = [], []
    for vest in (False, True):
        figure, body = dressed_in_blue(np.random.default_rng(1), vest, shoulder)
        # From the neck to 1.1 heads below the chin the person's outline is the same.
        alphas.append(figure.alpha()[:126])
        x, y = (body((0.85 * shoulder, 0.6)) * 200).astype(int)
        red, _, value = figure.colours()[y, x]
        blue.append(value > red)
    assert blue == [True, False]
    np.testing.assert_allclose(*alphas, atol=0.05)


def test_some_people_wear_vests():
    person = create_person(np.random.default_rng(3), np.zeros((4, 3), np.float32))
    clothes = np.float32([(0, 0, 1), (0, 1, 0)])
    person = dataclasses.replace(person, body=Frame(0.5, 0.3, 0.3), clothes=clothes)
    x, y = (person.body((0.68, 0.55)) * 100).astype(int)
    bare = 0
    for seed in range(40):
        figure = Figure(100)
        paint_body(figure, np.random.default_rng(seed), person)
        red, _, blue = figure.colours()[y, x]
        bare += red > blue
    assert 3 <= bare <= 20
