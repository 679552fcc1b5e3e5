import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, composite, cut_out
from mattingjax.images.compositing import Background, blur_background


@pytest.fixture(scope='module')
def soft_edge():
    """A red thing that fades into a blue background: its colour, alpha, photo."""
    alpha = np.clip((np.arange(80) - 20) / 40, 0, 1)[None].repeat(60, 0).astype(np.float32)
    red, blue = np.array([220, 30, 20]), np.array([10, 40, 230])
    photo = alpha[..., None] * red + (1 - alpha[..., None]) * blue
    return red, alpha, np.round(photo).astype(np.uint8)


def test_cut_out_and_composite(soft_edge):
    _, alpha, photo = soft_edge
    rgba = cut_out(photo, alpha)
    assert rgba.shape == (60, 80, 4)
    np.testing.assert_array_equal(rgba[..., 3], np.round(alpha * 255))
    green = np.full_like(photo, (0, 255, 0))
    mixed = composite(photo, alpha, green)
    np.testing.assert_array_equal(mixed[alpha == 0], green[alpha == 0])
    np.testing.assert_array_equal(mixed[alpha == 1], photo[alpha == 1])


def test_a_composite_takes_a_colour_and_a_picture_of_any_size(soft_edge, tmp_path):
    _, alpha, photo = soft_edge
    green = np.full_like(photo, (0, 177, 64))
    expected = composite(photo, alpha, green)
    Image.fromarray(green[:7, :5]).save(tmp_path / 'small.png')
    for background in ('#00b140', green[:7, :5], tmp_path / 'small.png', jnp.asarray(green[:9]),
                       Image.fromarray(green), Background('#00b140')):  # fmt: skip
        np.testing.assert_array_equal(composite(photo, alpha, background), expected)
    np.testing.assert_array_equal(
        composite(Image.fromarray(photo), jnp.asarray(alpha), '#00b140'), expected
    )


def test_the_wrong_argument_is_named(soft_edge):
    _, alpha, photo = soft_edge
    with pytest.raises(MattingError, match='octarine: neither a colour'):
        composite(photo, alpha, 'octarine')
    with pytest.raises(MattingError, match='background: expected a uint8 array, got float64'):
        composite(photo, alpha, photo / 255)
    with pytest.raises(MattingError, match=r'background: expected a path, .* got NoneType'):
        composite(photo, alpha, None)
    with pytest.raises(MattingError, match='foreground: expected a uint8 array, got float64'):
        composite(photo / 255, alpha, 'white')
    with pytest.raises(MattingError, match=r"alpha: expected the image's shape \[60, 80\]"):
        composite(photo, alpha[:7], 'white')
    with pytest.raises(MattingError, match=r'alpha: expected floating-point values .* got str'):
        cut_out(photo, 'alpha.png')


@pytest.mark.parametrize(
    ('text', 'colour'), [('white', (255, 255, 255)), ('#00b140', (0, 177, 64))]
)
def test_background_colour(text, colour):
    background = Background(text).of_size(5, 7)
    assert background.shape == (5, 7, 3)
    assert (background == colour).all()


def test_background_picture_covers_without_distortion(tmp_path):
    # A circle stays a circle, whatever the shape of the photo.
    y, x = np.mgrid[:100, :100]
    disc = ((x - 49.5) ** 2 + (y - 49.5) ** 2 < 30**2).astype(np.uint8) * 255
    Image.fromarray(disc).save(tmp_path / 'disc.png')
    covered = Background(str(tmp_path / 'disc.png')).of_size(100, 160)
    assert covered.shape == (100, 160, 3)
    white = covered[..., 0] > 127
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1


def test_background_that_is_neither(tmp_path):
    with pytest.raises(MattingError, match='octarine: neither a colour'):
        Background('octarine')
    assert (Background('#0102ffff').of_size(1, 1) == [1, 2, 255]).all()
    for colour in ('#00000000', '#0008', 'rgba(0, 0, 0, 254)'):
        with pytest.raises(MattingError, match='expected an opaque colour'):
            Background(colour)
    for colour in ('rgb(999, 0, 0)', 'hsl(0, 100%, 900%)', 'hsv(0, 500%, 100%)'):
        with pytest.raises(MattingError, match='neither a colour'):
            Background(colour)


@pytest.mark.parametrize('sigma', [1.5, 6, 20])
def test_a_blurred_background_has_no_colour_of_the_person(sigma):
    """A red disc before stripes of two blues: around it and behind it are the blues' mean."""
    y, x = np.mgrid[:120, :160]
    disc = (x - 80) ** 2 + (y - 60) ** 2 < 25**2
    photo = np.where((x // 2 % 2)[..., None], (0, 0, 200), (0, 0, 100)).astype(np.uint8)
    photo[disc] = (255, 0, 0)
    blurred = blur_background(photo, disc.astype(np.float32), sigma)
    assert blurred.shape == photo.shape
    assert blurred[~disc, 0].max() <= 8  # of the 255 next to them
    if sigma > 2:
        assert np.abs(blurred[~disc, 2].astype(int) - 150).max() <= 12
    # It is a Gaussian of that width: a step becomes its integral.
    step = np.where(x < 80, 0, 200).astype(np.uint8)[..., None].repeat(3, -1)
    row = blur_background(step, np.zeros((120, 160), np.float32), sigma)[60, :, 0] / 200
    spread = np.sqrt(np.sum(np.diff(row) * (np.arange(159) - 79) ** 2))
    assert spread == pytest.approx(sigma, rel=0.1, abs=0.2)


def test_where_all_is_the_person_the_blur_is_that_of_the_photo():
    photo = np.full((40, 50, 3), (10, 200, 30), np.uint8)
    assert (blur_background(photo, np.ones((40, 50), np.float32), 5) == photo).all()
