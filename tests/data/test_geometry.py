import cv2
import numpy as np
import pytest

from mattingjax.data.close_ups import CloseUp
from mattingjax.data.geometry import (
    Flip,
    RandomAffine,
    RandomCrop,
    RandomResize,
    RandomRotation,
)

GEOMETRY = [
    RandomResize(48, (1.0, 1.15), step=0.01),
    RandomResize(200, keep_aspect=True),
    RandomCrop(40),
    Flip(),
    RandomRotation(15),
    RandomAffine(64),
    RandomAffine(160, keep_aspect=True),
]
COLOUR = (200, 100, 50)


@pytest.fixture
def photo():
    """Blobs of every softness; the image shows the alpha itself."""
    alpha = np.random.default_rng(0).random((9, 7)).astype(np.float32)
    alpha = np.clip(2 * cv2.resize(alpha, (90, 120), interpolation=cv2.INTER_LINEAR) - 0.5, 0, 1)
    image = np.round(np.repeat(alpha[..., None], 3, -1) * 255).astype(np.uint8)
    alpha[-2:] = image[-2:] = 0  # nobody is cut off there, so that close-ups are made
    return {'image': image, 'alpha': alpha, 'name': 'photo'}


@pytest.fixture
def cutout(photo):
    """A person of one colour; what is transparent has another."""
    foreground = np.full((120, 90, 3), COLOUR, np.uint8)
    foreground[photo['alpha'] == 0] = (0, 255, 255)
    return {'foreground': foreground, 'alpha': photo['alpha'], 'name': 'cutout'}


@pytest.mark.parametrize('transform', [*GEOMETRY, CloseUp()])
def test_image_and_alpha_move_together(transform, photo):
    for seed in range(10):
        moved = transform(photo, np.random.default_rng(seed))
        assert moved['alpha'].min() >= 0
        assert moved['alpha'].max() <= 1
        assert moved['image'].dtype == np.uint8
        assert moved['alpha'].dtype == np.float32
        shown = moved['image'][..., 0] / 255
        np.testing.assert_allclose(shown, moved['alpha'], rtol=0, atol=1.5 / 255)


@pytest.mark.parametrize('transform', [*GEOMETRY, CloseUp()])
def test_colours_of_transparent_pixels_do_not_bleed_in(transform, cutout):
    for seed in range(10):
        moved = transform(cutout, np.random.default_rng(seed))
        colours = moved['foreground'][moved['alpha'] > 1e-3]
        assert len(colours)
        np.testing.assert_allclose(colours, np.broadcast_to(COLOUR, colours.shape), atol=1)


@pytest.mark.parametrize('transform', GEOMETRY)
def test_draws_from_its_generator_alone_and_leaves_the_record_as_it_was(transform, photo):
    before = {name: np.copy(value) for name, value in photo.items()}
    first, second = (transform(photo, np.random.default_rng(5)) for _ in range(2))
    for name, value in before.items():
        np.testing.assert_array_equal(photo[name], value)
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize('transform', GEOMETRY)
def test_photos_without_alpha_pass(transform, photo):
    labelled = transform(photo, np.random.default_rng(2))
    unlabelled = transform({'image': photo['image']}, np.random.default_rng(2))
    assert unlabelled.keys() == {'image'}
    np.testing.assert_array_equal(unlabelled['image'], labelled['image'])


def test_resize_draws_each_side_in_steps(photo):
    sizes = {
        RandomResize(100, (1.0, 1.15), step=0.01)(photo, np.random.default_rng(i))['alpha'].shape
        for i in range(300)
    }
    assert {side for size in sizes for side in size} == set(range(100, 116))
    assert any(height != width for height, width in sizes)


def test_resize_keeps_the_aspect(photo):
    rng = np.random.default_rng(0)
    assert RandomResize(60, keep_aspect=True)(photo, rng)['alpha'].shape == (80, 60)


def test_crop_takes_any_part(photo):
    rng = np.random.default_rng(0)
    whole = photo['alpha']
    corners = set()
    for _ in range(200):
        part = RandomCrop(88)(photo, rng)['alpha']
        corners |= {
            (top, left)
            for top in range(33)
            for left in range(3)
            if np.array_equal(whole[top : top + 88, left : left + 88], part)
        }
    assert {top for top, _ in corners} == set(range(33))
    assert {left for _, left in corners} == {0, 1, 2}


def ramps(height, width):
    """An image whose red grows evenly to the right and green downwards."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width)
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    return image


@pytest.mark.parametrize('transform', [RandomRotation(15), RandomAffine(80), RandomAffine(50)])
def test_nothing_beyond_the_border_of_a_photo_is_seen(transform):
    record = {'image': ramps(120, 90)}
    for seed in range(50):
        image = transform(record, np.random.default_rng(seed))['image'].astype(float)
        # A plane as it was: what is seen is the ramp alone, neither repeated nor filled up.
        rows, columns = np.indices(image.shape[:2])
        plane = np.stack([rows, columns, np.ones_like(rows)], -1).reshape(-1, 3)
        for channel in (0, 1):
            values = image[..., channel].ravel()
            fit = plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
            assert np.abs(fit - values).max() < 3


def test_a_rotation_turns_by_up_to_its_angle():
    record = {'image': ramps(200, 200)}
    angles = []
    for seed in range(200):
        image = RandomRotation(15)(record, np.random.default_rng(seed))['image'].astype(float)
        across, down = np.gradient(image[..., 0])[::-1]
        angles.append(np.degrees(np.arctan2(down.mean(), across.mean())))
    assert -15.5 < min(angles) < -14
    assert 14 < max(angles) < 15.5


def test_the_cut_through_a_person_stays_out_of_sight():
    alpha = np.zeros((100, 100), np.float32)
    alpha[50:, 40:60] = 1
    record = {'alpha': alpha, 'foreground': np.full((100, 100, 3), 9, np.uint8)}
    shares = []
    for seed in range(100):
        moved = RandomAffine(64)(record, np.random.default_rng(seed))['alpha']
        border = np.concatenate([moved[-1], moved[:, 0], moved[:, -1]])
        assert border.max() > 0.9  # the person goes on beyond the picture
        shares.append(moved.mean())
    # Smaller than at first, with room on the other sides, and larger.
    assert min(shares) < 0.06 < 0.14 < max(shares)


def test_a_free_cutout_has_nothing_around_it():
    alpha = np.zeros((100, 100), np.float32)
    alpha[40:60, 40:60] = 1
    record = {'alpha': alpha, 'foreground': np.full((100, 100, 3), 9, np.uint8)}
    for seed in range(30):
        moved = RandomAffine(64, scale=(0.5, 0.7))(record, np.random.default_rng(seed))['alpha']
        area = moved.sum() / 64**2 / (0.2 * 0.2)
        assert 0.5**2 * 0.95 < area < 0.7**2 * 1.05


def test_affine_without_change_is_the_identity(photo):
    image = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    transform = RandomAffine(64, scale=(1, 1), degrees=0, shear=0)
    moved = transform({'image': image}, np.random.default_rng(0))
    np.testing.assert_array_equal(moved['image'], image)


@pytest.mark.parametrize('transform', [RandomAffine(32), RandomResize(32)])
def test_shrinking_averages_instead_of_leaving_out(transform):
    checks = (np.indices((640, 640)).sum(0) % 2 * 255).astype(np.uint8)
    moved = transform({'image': np.repeat(checks[..., None], 3, -1)}, np.random.default_rng(1))
    assert np.abs(moved['image'].astype(float) - 127.5).max() < 8


@pytest.mark.parametrize('scale', [(0.2, 0.7), (0.3, 0.4)])
def test_a_close_up_shows_the_head(scale):
    alpha = np.zeros((400, 300), np.float32)
    alpha[60:100, 110:150] = 1  # the head
    alpha[100:380, 60:200] = 1
    record = {'image': np.repeat(np.uint8(alpha[..., None] * 255), 3, -1), 'alpha': alpha}
    for seed in range(20):
        near = CloseUp(scale)(record, np.random.default_rng(seed))
        height, width = near['alpha'].shape
        # A share of the person's 320 pixels, the head's upper edge within it, then the head.
        assert scale[0] * 320 - 2 <= height <= scale[1] * 320 + 2
        assert min(300, 0.6 * height) <= width <= min(300, 1.65 * height)
        head = np.flatnonzero(near['alpha'].any(1))[0]
        assert head <= 0.36 * height
        assert near['alpha'][head].sum() <= 40


def test_what_has_no_person_cannot_be_closer(photo):
    empty = photo | {'alpha': np.zeros_like(photo['alpha'])}
    unlabelled = {'image': photo['image']}
    rng = np.random.default_rng(0)
    assert CloseUp()(empty, rng) is empty
    assert CloseUp()(unlabelled, rng) is unlabelled


@pytest.mark.parametrize(
    ('at_the_border', 'stays'), [(0, False), (1, False), (8, False), (40, True)]
)
def test_a_portrait_is_near_enough(at_the_border, stays):
    """What the lower border cuts off stays; shoes that touch it, or a speck, are no cut."""
    alpha = np.zeros((80, 60), np.float32)
    alpha[20:79, 10:50] = 1
    alpha[79, 10 : 10 + at_the_border] = 1
    person = {'image': np.zeros((80, 60, 3), np.uint8), 'alpha': alpha}
    near = CloseUp()(person, np.random.default_rng(0))
    assert (near is person) == stays
