"""Files of every kind are read as alphas."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mattingjax.data.alpha_files import TRUE_ALPHAS
from mattingjax.errors import ImageError
from tests.data.alphas import GREY, load_alpha
from tests.data.pictures import SIZE, picture, save


@pytest.mark.parametrize('mode', ['L', 'RGB', 'LA', 'RGBA', 'P'])
def test_greys_of_every_kind_are_alphas(tmp_path, mode):
    path = tmp_path / 'a.png'
    Image.fromarray(GREY).convert(mode).save(path)
    alpha = load_alpha(path)
    assert alpha.dtype == np.float32
    np.testing.assert_array_equal(alpha, GREY.astype(np.float32) / 255)


def test_sixteen_bit_alpha(tmp_path):
    values = (GREY.astype(np.uint16) << 8) + 77
    for name in ('a.png', 'a.tif'):
        cv2.imwrite(str(tmp_path / name), values)
        np.testing.assert_allclose(load_alpha(tmp_path / name), values / 65535, rtol=1e-6)


def test_one_bit_and_floating_point_alphas(tmp_path):
    Image.fromarray(GREY > 99).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(load_alpha(tmp_path / 'a.png'), GREY > 99)
    Image.fromarray(GREY.astype(np.float32) / 255).save(tmp_path / 'a.tif')
    np.testing.assert_array_equal(load_alpha(tmp_path / 'a.tif'), GREY.astype(np.float32) / 255)


def test_a_label_map_is_a_mask(tmp_path):
    person = (GREY > 99).astype(np.uint8)
    np.testing.assert_array_equal(load_alpha(save(tmp_path / 'a.png', person)), person)
    np.testing.assert_array_equal(load_alpha(save(tmp_path / 'b.png', person * 255)), person)
    assert load_alpha(save(tmp_path / 'c.png', person * 0)).max() == 0


def test_transparency_counts_before_colours(tmp_path):
    path = save(tmp_path / 'a.png', np.dstack([picture(0), GREY]))
    np.testing.assert_array_equal(load_alpha(path), GREY.astype(np.float32) / 255)


@pytest.mark.parametrize('depth', ['colours', 'float'])
def test_what_is_no_alpha_is_refused(tmp_path, depth):
    path = tmp_path / 'a.tif'
    values = picture(0) if depth == 'colours' else GREY.astype(np.float32)
    Image.fromarray(values).save(path)
    expected = 'a grey picture' if depth == 'colours' else 'values 0 to 255 do not tell'
    with pytest.raises(ImageError, match=expected):
        load_alpha(path)


def test_a_cutout_with_a_palette_keeps_its_soft_transparency(tmp_path):
    pixels = np.arange(600, dtype=np.uint8).reshape(SIZE) % 8
    image = Image.fromarray(pixels)
    image.putpalette([value for grey in range(8) for value in (grey, 20, 30)])
    path = tmp_path / 'a.png'
    image.save(path, transparency=bytes(range(0, 256, 32)))
    foreground, alpha = TRUE_ALPHAS.load_cutout(path)
    np.testing.assert_array_equal(foreground[..., 0], pixels)
    np.testing.assert_allclose(alpha, pixels * 32 / 255, rtol=1e-6)
