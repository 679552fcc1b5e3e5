import cv2
import numpy as np
import pytest

from mattingjax.errors import ImageError, MattingError
from mattingjax.images import resize
from mattingjax.inference import refinement
from mattingjax.inference.refinement import refine_alpha

FOREGROUND, BACKGROUND = (190, 120, 60), (40, 90, 140)


def make_photo(side: int = 256, shrink: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A disc with strands on a noisy background: the photo, its alpha, and what a network sees."""
    true_alpha = np.zeros((side, side), np.float32)
    centre, unit = side // 2, side / 256
    cv2.circle(true_alpha, (centre, centre), round(70 * unit), 1, -1, cv2.LINE_AA)
    true_alpha = np.round(true_alpha * 255).astype(np.uint8)
    cv2.circle(true_alpha, (centre, centre), round(70 * unit), 255, -1, cv2.LINE_AA)
    for degrees in range(0, 360, 8):
        turn = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        tip = tuple(np.round(centre + 84 * unit * turn).astype(int).tolist())
        cv2.line(true_alpha, (centre, centre), tip, 255, max(1, round(unit)), cv2.LINE_AA)
    true_alpha = true_alpha.astype(np.float32) / 255
    colours = true_alpha[..., None] * FOREGROUND + (1 - true_alpha[..., None]) * BACKGROUND
    noise = np.random.default_rng(0).normal(0, 4, colours.shape)
    image = np.clip(np.round(colours + noise), 0, 255).astype(np.uint8)
    seen = resize(true_alpha, side // shrink, side // shrink)
    seen = cv2.GaussianBlur(seen, (5, 5), 1)
    return image, true_alpha, np.clip(resize(seen, side, side), 0, 1)


def band(alpha: np.ndarray, pixel: int) -> np.ndarray:
    """Soft pixels, and those nearer than three of the network's pixels (a square)."""
    soft = (alpha >= refinement.LOWEST) & (alpha <= refinement.HIGHEST)
    reach = 2 * (refinement.REACH + 1) * pixel + 1
    return cv2.dilate(soft.astype(np.uint8), np.ones((reach, reach))) > 0


def error(alpha: np.ndarray, true_alpha: np.ndarray) -> float:
    return float(np.abs(alpha - true_alpha)[band(true_alpha, 1)].mean())


def test_a_blurred_edge_comes_near_the_truth():
    image, true_alpha, alpha = make_photo()
    refined = refine_alpha(image, alpha, (64, 64))
    assert refined.dtype == np.float32
    assert refined.min() >= 0
    assert refined.max() <= 1
    assert error(refined, true_alpha) < 0.5 * error(alpha, true_alpha)


def test_the_given_alpha_is_left_alone():
    image, _, alpha = make_photo()
    before = alpha.copy()
    refine_alpha(image, alpha, (64, 64))
    np.testing.assert_array_equal(alpha, before)


def test_only_the_band_changes():
    image, _, alpha = make_photo()
    alpha[:20] = 0.01  # a network's haze, far from every edge
    refined = refine_alpha(image, alpha, (64, 64))
    inside = band(alpha, 4)
    assert 0.1 < inside.mean() < 0.6
    np.testing.assert_array_equal(refined[~inside], alpha[~inside])
    decided = (alpha == 0) | (alpha == 1)
    np.testing.assert_array_equal(refined[decided], alpha[decided])
    assert np.abs(refined - alpha)[inside].mean() > 0.02


@pytest.mark.parametrize('value', [0, 1])
def test_a_constant_alpha_stays(value):
    image, true_alpha, _ = make_photo()
    alpha = np.full_like(true_alpha, value)
    np.testing.assert_array_equal(refine_alpha(image, alpha, (64, 64)), alpha)


def test_equal_colours_say_nothing():
    _, _, alpha = make_photo()
    image = np.full((*alpha.shape, 3), 128, np.uint8)
    np.testing.assert_allclose(refine_alpha(image, alpha, (64, 64)), alpha, atol=1e-5)


def test_a_crisp_edge_is_sharpened_only_in_a_large_photo():
    """The same edge, at one and at four of the photo's pixels for one of the network's."""

    def change(shrink: int) -> float:
        side = 64 * shrink
        true_alpha = np.zeros((side, side), np.float32)
        true_alpha[:, side // 2 :] = 1
        image = np.where(true_alpha[..., None] > 0, FOREGROUND, BACKGROUND).astype(np.uint8)
        seen = np.tile(np.float32([0] * 31 + [0.15, 0.85] + [1] * 31), (64, 1))
        alpha = np.clip(resize(seen, side, side), 0, 1)
        refined = refine_alpha(image, alpha, (64, 64))
        return float(np.abs(refined - true_alpha).sum() / np.abs(alpha - true_alpha).sum())

    assert change(1) == pytest.approx(1, abs=0.01)
    assert change(4) < 0.5


def test_a_photo_smaller_than_the_networks_input():
    image, true_alpha, alpha = make_photo(96, 2)
    refined = refine_alpha(image, alpha, (192, 192))
    assert error(refined, true_alpha) < error(alpha, true_alpha)


def test_the_networks_pixels_need_not_be_square():
    image, true_alpha, alpha = make_photo()
    image, true_alpha, alpha = image[64:192], true_alpha[64:192], alpha[64:192]
    refined = refine_alpha(image, np.ascontiguousarray(alpha), (64, 64))
    assert error(refined, true_alpha) < 0.7 * error(alpha, true_alpha)


def test_parts_of_the_band_give_what_the_whole_gives(monkeypatch):
    image, _, alpha = make_photo()
    whole = refine_alpha(image, alpha, (64, 64))
    monkeypatch.setattr(refinement, '_CHUNK', 1000)
    np.testing.assert_array_equal(refine_alpha(image, alpha, (64, 64)), whole)


def test_a_larger_photo_gets_the_same_edges():
    image, true_alpha, alpha = make_photo()
    small = refine_alpha(image, alpha, (64, 64))
    height, width = (2 * side for side in alpha.shape)
    larger = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    refined = refine_alpha(larger, np.clip(resize(alpha, height, width), 0, 1), (64, 64))
    assert np.abs(resize(refined, *alpha.shape) - small).mean() < 0.01
    assert error(resize(refined, *alpha.shape), true_alpha) < 1.1 * error(small, true_alpha)


@pytest.mark.parametrize('shape', [(1, 1), (1, 7), (5, 2), (16, 3)])
def test_tiny_photos(shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    alpha = rng.uniform(0, 1, shape).astype(np.float32)
    refined = refine_alpha(image, alpha, (64, 64))
    assert refined.shape == shape
    assert refined.dtype == np.float32
    assert refined.min() >= 0
    assert refined.max() <= 1


@pytest.mark.parametrize(
    'values', [np.full((8, 8), np.nan), np.full((8, 8), 1.5), np.zeros((4, 8))]
)
def test_wrong_alphas(values):
    with pytest.raises(ImageError, match='alpha: expected'):
        refine_alpha(np.zeros((8, 8, 3), np.uint8), values.astype(np.float32), (64, 64))


@pytest.mark.parametrize('size', [(0, 64), (64,)])
def test_wrong_network_sizes(size):
    with pytest.raises(MattingError, match='network_size: expected height and width'):
        refine_alpha(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32), size)
