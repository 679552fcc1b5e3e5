import cv2
import numpy as np
import pytest

from mattingjax.data.recomposition import Recompose, blur_fusion
from mattingjax.errors import MattingError
from mattingjax.images.compositing import composite

GREEN = [{'image': np.full((50, 70, 3), (0, 200, 0), np.uint8)}]


@pytest.fixture
def photo():
    """A textured disc with a soft border before stripes; its true colours are known."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :80]
    alpha = np.clip((30 - np.hypot(y - 48, x - 40)) / 12, 0, 1).astype(np.float32)
    foreground = cv2.resize(rng.integers(100, 200, (6, 5, 3), np.uint8), (80, 96))
    background = np.zeros((96, 80, 3), np.uint8)
    background[:, ::8] = background[:, 1::8] = (255, 255, 0)
    return {
        'image': composite(foreground, alpha, background),
        'alpha': alpha,
        'foreground': foreground,
        'name': 'disc',
    }


def test_is_the_person_before_the_background(photo):
    made = Recompose(GREEN, 1.0, relight=False)(photo, np.random.default_rng(0))
    background = np.full((96, 80, 3), (0, 200, 0), np.uint8)
    expected = composite(photo['foreground'], photo['alpha'], background)
    np.testing.assert_array_equal(made['image'], expected)
    np.testing.assert_array_equal(made['alpha'], photo['alpha'])
    assert 'foreground' not in made


def test_estimation_takes_the_old_background_out(photo):
    def error(foreground):
        recompose = Recompose(GREEN, 1.0, relight=False)
        made = recompose(photo | foreground, np.random.default_rng(0))['image'].astype(float)
        return np.square(made - expected).mean()

    expected = Recompose(GREEN, 1.0, relight=False)(photo, np.random.default_rng(0))['image']
    own_colours = {'foreground': photo['image']}
    del photo['foreground']
    assert error({}) < 0.4 * error(own_colours)


def test_blur_fusion_keeps_what_is_opaque(photo):
    opaque = photo['alpha'] == 1
    foreground = blur_fusion(photo['image'], photo['alpha'])
    np.testing.assert_allclose(foreground[opaque], photo['image'][opaque].astype(int), atol=1)


@pytest.mark.parametrize('alpha', [0, 1])
def test_blur_fusion_of_nothing_or_all(photo, alpha):
    foreground = blur_fusion(photo['image'], np.full((96, 80), alpha, np.float32))
    assert foreground.shape == photo['image'].shape
    if alpha:
        np.testing.assert_allclose(foreground, photo['image'].astype(int), atol=1)


def test_cutouts_always_get_a_background_and_photos_by_lot(photo):
    cutout = {name: photo[name] for name in ('foreground', 'alpha', 'name')}
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert Recompose(GREEN, 0.0)(cutout, rng)['image'].shape == (96, 80, 3)
        assert Recompose(GREEN, 0.0)(photo, rng) is photo
    changed = sum(Recompose(GREEN, 0.3)(photo, rng) is not photo for _ in range(300))
    assert 60 < changed < 120


def test_photos_without_alpha_stay(photo):
    record = {'image': photo['image'], 'name': 'unlabelled'}
    assert Recompose(GREEN, 1.0)(record, np.random.default_rng(0)) is record


def test_backgrounds_are_parts_of_pictures_and_not_stretched():
    ramp = np.repeat(np.linspace(0, 255, 256)[None], 128, 0).astype(np.uint8)
    backgrounds = [{'image': np.repeat(ramp[..., None], 3, -1)}]
    cutout = {
        'foreground': np.zeros((64, 64, 3), np.uint8),
        'alpha': np.zeros((64, 64), np.float32),
    }
    seen = []
    for seed in range(60):
        made = Recompose(backgrounds, blur=0)(cutout, np.random.default_rng(seed))
        row = made['image'][30, :, 0].astype(float)
        seen.append((row.min(), np.abs(np.diff(row)).mean() * 63, np.sign(row[-1] - row[0])))
    lows, widths, signs = np.array(seen).T
    assert lows.min() < 30
    assert lows.max() > 120
    assert 62 < widths.min() < 75  # half of the height
    assert 115 < widths.max() < 129  # all of it
    assert set(signs) == {-1, 1}


def test_draws_from_its_generator_alone_and_leaves_the_record_as_it_was(photo):
    before = {name: np.copy(value) for name, value in photo.items()}
    recompose = Recompose(GREEN, 1.0)
    first, second, other = (
        recompose(photo, np.random.default_rng(seed))['image'] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    for name, value in before.items():
        np.testing.assert_array_equal(photo[name], value)


def test_bad_input():
    with pytest.raises(MattingError, match='recomposition: expected 0 to 1, got 50'):
        Recompose(GREEN, 50)
    with pytest.raises(MattingError, match='backgrounds: expected at least one picture, got none'):
        Recompose([])
