import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax import MattingError, composite, cut_out, estimate_foreground
from mattingjax.images import encode_png

RED, BLUE = (220, 30, 20), (10, 40, 230)


def plain(alpha, colour) -> np.ndarray:
    return np.full((*alpha.shape, 3), colour, np.uint8)


def disc(height: int, width: int, border: float = 0.05) -> np.ndarray:
    """The alpha of a disc with a soft border, whose width is a share of the shorter side."""
    y, x = np.mgrid[:height, :width]
    side = min(height, width)
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.clip((0.3 * side - distance) / (border * side), 0, 1).astype(np.float32)


@pytest.fixture(scope='module')
def textured():
    """A striped disc before a chequered background: its colours, alpha, photo."""
    alpha = disc(150, 201, 0.2)
    stripes, squares = plain(alpha, (200, 160, 60)), plain(alpha, BLUE)
    x, y = np.arange(201) // 8 % 2, np.arange(150)[:, None] // 8 % 2
    stripes[:, x == 1] = (150, 100, 30)
    squares[x == y] = (90, 200, 240)
    return stripes, alpha, composite(stripes, alpha, squares)


# Below, at and above the size of the finest level; a border of two pixels, and one that is nearly
# the whole picture.
@pytest.mark.parametrize(
    'alpha',
    [disc(50, 70), disc(300, 200, 0.01), disc(200, 300, 0.3), disc(1700, 40), disc(1000, 1750)],
    ids=lambda alpha: 'x'.join(map(str, alpha.shape)),
)
def test_plain_colours_are_found_again(alpha):
    foreground = estimate_foreground(composite(plain(alpha, RED), alpha, plain(alpha, BLUE)), alpha)
    assert foreground.dtype == np.uint8
    error = np.abs(foreground.astype(int) - RED)
    assert error[(alpha > 0) & (alpha < 1)].max() <= 2
    assert error[alpha == 0].max() <= 8  # what is transparent goes on from the foreground
    assert not error[alpha == 1].any()


def test_little_of_the_background_is_left(textured):
    true, alpha, photo = textured
    soft = (alpha > 0.02) & (alpha < 0.98)

    def error(colours):
        return np.abs(alpha[..., None] * (colours.astype(float) - true))[soft].mean()

    assert error(estimate_foreground(photo, alpha)) < 0.5 * error(photo)


def test_estimates_mix_to_the_photo(textured):
    # Of the pairs that do, the one that is estimated: there is a background to the foreground.
    _, alpha, photo = textured
    foreground = estimate_foreground(photo, alpha).astype(float)
    weight = alpha[..., None]
    low, high = weight * foreground - 1, weight * foreground + (1 - weight) * 255 + 1
    soft = (alpha > 0.01) & (alpha < 1)
    assert np.mean((low <= photo) & (photo <= high), where=soft[..., None]) > 0.98


def test_what_is_opaque_stays(textured):
    _, alpha, photo = textured
    # A network's alpha is nowhere quite 1.
    for opaque in (alpha, np.minimum(alpha, np.float32(0.9985))):
        foreground = estimate_foreground(photo, opaque)
        np.testing.assert_array_equal(foreground[alpha == 1], photo[alpha == 1])
    np.testing.assert_array_equal(estimate_foreground(photo, np.ones_like(alpha)), photo)


def test_what_is_transparent_is_small_in_a_file():
    alpha = disc(600, 800)
    photo = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    foreground = estimate_foreground(photo, alpha)
    black = np.where(alpha[..., None] == 0, 0, foreground).astype(np.uint8)
    sizes = [len(encode_png(cut_out(each, alpha))) for each in (black, foreground, photo)]
    assert sizes[1] < 1.1 * sizes[0] < 0.5 * sizes[2]


@pytest.mark.parametrize('size', [(1, 1), (1, 2), (2, 1), (2, 2), (1, 9), (1, 2000), (40_000, 1)])
@pytest.mark.parametrize('value', [0, 0.5, 1])
def test_the_smallest_and_thinnest_pictures(size, value):
    photo = np.full((*size, 3), (200, 100, 50), np.uint8)
    foreground = estimate_foreground(photo, np.full(size, value, np.float32))
    np.testing.assert_array_equal(foreground, photo)


def test_arguments_are_taken_as_they_come_and_left_alone(textured):
    _, alpha, photo = textured
    expected = estimate_foreground(photo, alpha)
    before = photo.copy(), alpha.copy()
    flipped = estimate_foreground(photo[:, ::-1][:, ::-1], np.float64(alpha))
    np.testing.assert_array_equal(flipped, expected)
    np.testing.assert_array_equal(estimate_foreground(photo, jnp.asarray(alpha)), expected)
    np.testing.assert_array_equal(photo, before[0])
    np.testing.assert_array_equal(alpha, before[1])


def test_the_wrong_argument_is_named(textured):
    _, alpha, photo = textured
    with pytest.raises(MattingError, match='image: expected a uint8 array, got float64'):
        estimate_foreground(photo / 255, alpha)
    with pytest.raises(MattingError, match=r'alpha: expected floating-point values .* got uint8'):
        estimate_foreground(photo, np.uint8(alpha))
    with pytest.raises(MattingError, match=r"alpha: expected the image's shape \[150, 201\]"):
        estimate_foreground(photo, alpha[:7])
