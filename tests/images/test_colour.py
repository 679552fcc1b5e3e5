"""Photos with colour profiles become sRGB."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from mattingjax import composite, images
from mattingjax.images import to_srgb
from mattingjax.images.compositing import Background
from mattingjax.images.icc import DISPLAY_P3, SRGB, make_profile
from tests.images.pictures import save

P3 = make_profile(DISPLAY_P3)
# Linear Display P3 → linear sRGB (CSS Color 4, section 17).
P3_TO_SRGB = np.array(
    [[1.2249402, -0.2249402, 0], [-0.0420570, 1.0420570, 0], [-0.0196376, -0.0786361, 1.0982736]]
)


def expected_srgb(colours) -> np.ndarray:
    """Display P3 → sRGB by the formulas."""
    values = np.asarray(colours) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ P3_TO_SRGB.T, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * curved)


def all_colours(step: int = 15) -> np.ndarray:
    levels = np.arange(0, 256, step, np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)


def test_display_p3_becomes_srgb():
    colours = all_colours()
    converted = to_srgb(colours, P3)
    assert converted.dtype == np.uint8
    assert np.abs(converted - expected_srgb(colours)).max() <= 1
    neutral = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=-1)
    assert np.abs(to_srgb(neutral, P3).astype(int) - neutral).max() <= 1


@pytest.mark.parametrize('height', [1, 63, 64, 65, 200])
def test_strips_leave_no_seam(height):
    colours = np.random.default_rng(0).integers(0, 256, (height, 7, 3), dtype=np.uint8)
    assert np.abs(to_srgb(colours, P3) - expected_srgb(colours)).max() <= 1
    np.testing.assert_array_equal(to_srgb(colours[:, ::-1], P3)[:, ::-1], to_srgb(colours, P3))


def test_floating_point_pixels_stay_so():
    colours = all_colours().astype(np.float32)
    converted = to_srgb(colours + 0.3, P3)
    assert converted.dtype == np.float32
    np.testing.assert_array_equal(converted, to_srgb(colours.astype(np.uint8), P3))
    assert to_srgb(np.full((2, 2, 3), 300, np.float32), P3).max() == 255


def test_nothing_is_done_where_nothing_is_to_do():
    colours = all_colours(85)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile('LAB')).tobytes()
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    broken = (b'nonsense', P3[:200], P3[:128] + bytes(len(P3) - 128), lab)
    for profile in (None, b'', plain, make_profile(SRGB), *broken):
        assert to_srgb(colours, profile) is colours


def test_a_composite_has_the_background_asked_for(tmp_path):
    alpha = np.repeat([[0, 0.5, 1]], 2, axis=0).astype(np.float32)
    foreground = np.full((2, 3, 3), (200, 120, 90), np.uint8)
    path = save(tmp_path / 'a.png', foreground, icc_profile=P3)
    for result in (composite(foreground, alpha, '#00b140', P3), composite(path, alpha, '#00b140')):
        assert (result[:, 0] == (0, 177, 64)).all()
        assert np.abs(result[:, 2] - expected_srgb((200, 120, 90))).max() <= 1
        middle = np.mean([expected_srgb((200, 120, 90)), (0, 177, 64)], axis=0)
        assert np.abs(result[:, 1] - middle).max() <= 1.5
    np.testing.assert_array_equal(composite(foreground, alpha, '#00b140')[:, 2], foreground[:, 2])


def test_a_background_picture_is_converted(tmp_path):
    picture = np.full((4, 4, 3), (200, 120, 90), np.uint8)
    path = save(tmp_path / 'a.png', picture, icc_profile=P3)
    shown = Background(path).of_size(4, 4)
    assert np.abs(shown - expected_srgb(picture)).max() <= 1


def test_a_photo_keeps_its_pixels_and_profile(tmp_path):
    picture = np.full((4, 4, 3), (200, 120, 90), np.uint8)
    photo = images.load_photo(save(tmp_path / 'a.png', picture, icc_profile=P3))
    np.testing.assert_array_equal(photo.pixels, picture)
    with Image.open(io.BytesIO(images.encode_png(*photo))) as written:
        assert written.info['icc_profile'] == P3
