import cv2
import numpy as np
import pytest

from mattingjax.data.degradations import (
    CameraNoise,
    ColourJitter,
    DefocusBlur,
    JpegCompression,
    LightGradient,
    MotionBlur,
)
from mattingjax.errors import MattingError

DEGRADATIONS = [
    ColourJitter(),
    LightGradient(),
    DefocusBlur(0.02),
    MotionBlur(0.1),
    CameraNoise(),
    JpegCompression(),
]
BLURS = [DefocusBlur(0.05), MotionBlur(0.2)]


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    image = rng.integers(256, size=(8, 6, 3), dtype=np.uint8)
    image = cv2.resize(image, (60, 80), interpolation=cv2.INTER_LINEAR)
    alpha = np.zeros((80, 60), np.float32)
    alpha[20:, 15:45] = 1
    return {'image': image, 'alpha': alpha, 'foreground': image, 'name': 'photo'}


def grey(level, side=200):
    return {'image': np.full((side, side, 3), level, np.uint8)}


@pytest.mark.parametrize('degrade', DEGRADATIONS)
def test_draws_from_its_generator_alone_and_leaves_the_record_as_it_was(degrade, photo):
    before = {name: np.copy(value) for name, value in photo.items()}
    first, second, other = (degrade(photo, np.random.default_rng(seed)) for seed in (5, 5, 6))
    for name, value in before.items():
        np.testing.assert_array_equal(photo[name], value)
    np.testing.assert_array_equal(first['image'], second['image'])
    assert (first['image'] != other['image']).any()
    assert first['image'].dtype == np.uint8
    assert first['image'].shape == photo['image'].shape
    assert (first['image'] != photo['image']).any()
    assert first['name'] == 'photo'
    assert 'foreground' not in first  # it no longer is the image's


@pytest.mark.parametrize('degrade', DEGRADATIONS)
def test_alpha_changes_only_with_blur(degrade, photo):
    alpha = degrade(photo, np.random.default_rng(5))['alpha']
    blurs = isinstance(degrade, DefocusBlur | MotionBlur)
    assert (alpha != photo['alpha']).any() == blurs
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize('degrade', DEGRADATIONS)
def test_photos_without_alpha_pass_and_cutouts_do_not(degrade, photo):
    unlabelled = degrade({'image': photo['image']}, np.random.default_rng(2))
    assert unlabelled.keys() == {'image'}
    labelled = degrade(photo, np.random.default_rng(2))
    np.testing.assert_array_equal(unlabelled['image'], labelled['image'])
    with pytest.raises(MattingError, match='p7: a cut-out needs a background first'):
        degrade({'foreground': photo['image'], 'name': 'p7'}, np.random.default_rng(2))


def test_colours_without_jitter_stay(photo):
    still = ColourJitter(0, 0, 0, 0, 0, 0)
    np.testing.assert_array_equal(still(photo, np.random.default_rng(0))['image'], photo['image'])


def test_hue_and_saturation_leave_grey_grey():
    degrade = ColourJitter(hue=0.5, saturation=1, gain=0, brightness=0, contrast=0, gamma=0)
    for seed in range(20):
        image = degrade(grey(77, 4), np.random.default_rng(seed))['image']
        np.testing.assert_allclose(image.astype(int), 77, atol=1)


def test_a_third_of_a_turn_exchanges_the_channels():
    red = {'image': np.full((4, 4, 3), (150, 60, 60), np.uint8)}
    degrade = ColourJitter(hue=1 / 3, saturation=0, gain=0, brightness=0, contrast=0, gamma=0)
    hues = [degrade(red, np.random.default_rng(seed))['image'][0, 0] for seed in range(200)]
    assert min(np.abs(hue - (60, 150, 60)).max() for hue in hues) < 5
    assert min(np.abs(hue - (60, 60, 150)).max() for hue in hues) < 5


def test_each_channel_has_its_own_gain():
    degrade = ColourJitter(hue=0, saturation=0, gain=0.1, brightness=0, contrast=0, gamma=0)
    pixels = np.array(
        [degrade(grey(100, 1), np.random.default_rng(i))['image'][0, 0] for i in range(300)]
    )
    assert pixels.min() in (90, 91)
    assert pixels.max() in (109, 110)
    assert np.abs(np.corrcoef(pixels.T) - np.eye(3)).max() < 0.2


def test_light_falls_off_evenly_and_keeps_the_mean():
    image = LightGradient(0.5)(grey(100), np.random.default_rng(1))['image'].astype(float)
    assert abs(image.mean() - 100) < 1
    assert 20 < image.max() - image.min() < 145
    assert np.abs(image + image[::-1, ::-1] - 200).max() <= 2


@pytest.mark.parametrize('degrade', BLURS)
def test_image_and_alpha_are_blurred_alike(degrade, photo):
    image = np.round(np.repeat(photo['alpha'][..., None], 3, -1) * 255).astype(np.uint8)
    blurred = degrade({'image': image, 'alpha': photo['alpha']}, np.random.default_rng(5))
    assert ((blurred['alpha'] > 0.2) & (blurred['alpha'] < 0.8)).any()
    shown = blurred['image'][..., 0] / 255
    np.testing.assert_allclose(shown, blurred['alpha'], rtol=0, atol=2 / 255)


@pytest.mark.parametrize('degrade', BLURS)
def test_blur_keeps_an_even_picture(degrade):
    np.testing.assert_array_equal(degrade(grey(90), np.random.default_rng(0))['image'], 90)


def test_motion_is_a_line_of_all_directions():
    point = np.zeros((101, 101, 3), np.uint8)
    point[50, 50] = 255
    lengths, slopes = [], []
    for seed in range(100):
        image = MotionBlur(0.2)({'image': point}, np.random.default_rng(seed))['image'][..., 0]
        rows, columns = np.nonzero(image)
        assert (rows.min() + rows.max(), columns.min() + columns.max()) == (100, 100)
        lengths.append(np.hypot(np.ptp(rows), np.ptp(columns)))
        slopes.append(np.ptp(rows) > np.ptp(columns))
        spread = np.linalg.eigvalsh(np.cov(rows, columns))
        assert spread[0] < 0.6  # thin
    assert 16 < max(lengths) < 24
    assert min(lengths) < 4
    assert 20 < sum(slopes) < 80


@pytest.mark.parametrize('level', [5, 60, 128, 220])
def test_noise_is_that_of_linear_light(level):
    shot = 1e-3
    rng = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(20):
        found.append(CameraNoise((shot, shot))(grey(level), rng)['image'].std())
        value = level / 255
        linear = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        read = np.exp(2.18 * np.log(shot) + 1.20 + rng.normal(0, 0.26))
        noisy = linear + rng.standard_normal((200, 200)) * np.sqrt(shot * linear + read)
        noisy = np.clip(noisy, 0, 1)
        curve = np.where(
            noisy <= 0.0031308, 12.92 * noisy, 1.055 * np.maximum(noisy, 1e-9) ** (1 / 2.4) - 0.055
        )
        expected.append(np.round(255 * curve).std())
    # First order: less exact where the curve bends, next to black.
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.25 if level < 10 else 0.05)


def test_jpeg_of_low_quality_is_worse(photo):
    def error(quality):
        image = JpegCompression((quality, quality))(photo, np.random.default_rng(0))['image']
        return np.abs(image.astype(float) - photo['image']).mean()

    assert error(95) < error(50) < error(10)
    assert error(95) < 4  # colours in their order
