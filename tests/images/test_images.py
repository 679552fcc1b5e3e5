"""Pictures of every format become RGB arrays."""

import io
import struct
import zlib

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageCms

from mattingjax import MattingError, images, load_image
from mattingjax.errors import ImageError
from tests.images.pictures import save


@pytest.mark.parametrize('name', ['a.png', 'a.webp', 'a.tif', 'a.bmp', 'a.PNG'])
def test_lossless_formats(tmp_path, picture, name):
    options = {'lossless': True} if name.endswith('webp') else {}
    path = save(tmp_path / name, picture, **options)
    np.testing.assert_array_equal(load_image(path), picture)
    np.testing.assert_array_equal(load_image(path.read_bytes()), picture)
    assert images.read_size(path) == (40, 60)


@pytest.mark.parametrize('mode', ['RGB', 'CMYK', 'YCbCr'])
def test_jpeg(tmp_path, picture, mode):
    path = save(tmp_path / 'a.jpg', picture, mode, quality=95)
    assert np.abs(load_image(path).astype(int) - picture).max() < 16


def test_cmyk_with_a_profile_is_converted_by_it(tmp_path, picture, monkeypatch):
    # No CMYK profile ships with Pillow: an RGB one is refused, and the plain conversion is used.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    path = save(tmp_path / 'a.tif', picture, 'CMYK', icc_profile=profile)
    expected = np.asarray(Image.fromarray(picture).convert('CMYK').convert('RGB'))
    photo = images.load_photo(path)
    np.testing.assert_array_equal(photo.pixels, expected)
    assert photo.icc_profile is None


def test_the_profile_of_an_rgb_photo_comes_along(tmp_path, picture):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    photo = images.load_photo(save(tmp_path / 'a.png', picture, icc_profile=profile))
    assert photo.icc_profile == profile
    np.testing.assert_array_equal(photo.pixels, picture)
    with Image.open(io.BytesIO(images.encode_png(*photo))) as written:
        assert written.info['icc_profile'] == profile


@pytest.mark.parametrize('mode', ['L', '1', 'P', 'LA'])
def test_grey_palette_and_bitmap(tmp_path, picture, mode):
    path = save(tmp_path / 'a.png', picture, mode)
    loaded = load_image(path)
    assert loaded.shape == (40, 60, 3)
    assert loaded.dtype == np.uint8
    expected = Image.fromarray(picture).convert(mode).convert('RGB')
    np.testing.assert_array_equal(loaded, np.asarray(expected))


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_sixteen_bit_grey(tmp_path, picture, suffix):
    grey = picture[..., 0].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / f'a.{suffix}'), grey)
    np.testing.assert_array_equal(load_image(tmp_path / f'a.{suffix}')[..., 2], picture[..., 0])


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_sixteen_bit_colour(tmp_path, picture, suffix):
    path = tmp_path / f'a.{suffix}'
    cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(load_image(path), picture)


def test_floating_point(tmp_path):
    values = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    path = save(tmp_path / 'a.tif', values)
    np.testing.assert_array_equal(load_image(path)[..., 0], np.round(values * 255))
    save(path, values * 7)
    with pytest.raises(MattingError, match=r'a.tif: expected floating-point .* found 0 to 7'):
        load_image(path)


def test_transparency_lies_on_white(tmp_path, picture):
    alpha = np.zeros((40, 60, 1), np.uint8)
    alpha[:, 30:] = 255
    loaded = load_image(save(tmp_path / 'a.png', np.dstack([picture, alpha])))
    assert (loaded[:, :30] == 255).all()
    np.testing.assert_array_equal(loaded[:, 30:], picture[:, 30:])
    palette = Image.fromarray(picture).quantize(16)
    palette.info['transparency'] = palette.getpixel((0, 0))
    palette.save(tmp_path / 'p.png')
    assert (load_image(tmp_path / 'p.png')[0, 0] == 255).all()


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation(tmp_path, picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    # What the camera stores: the upright picture, turned back.
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](picture)
    path = save(tmp_path / 'a.png', np.ascontiguousarray(turned), exif=exif)
    np.testing.assert_array_equal(load_image(path), picture)
    assert images.read_size(path) == (40, 60)


class Foreign:
    """An array of another library."""

    def __init__(self, pixels):
        self._pixels = pixels

    def __array__(self, dtype=None, copy=None):
        if self._pixels is None:
            raise TypeError('it lies on a GPU')
        return self._pixels


def test_a_picture_may_come_in_any_form(tmp_path, picture):
    path = save(tmp_path / 'a.png', picture)
    with path.open('rb') as file, Image.open(path) as image:
        sources = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), file, image]
        sources += [Image.fromarray(picture), jnp.asarray(picture), Foreign(picture)]
        for source in sources:
            np.testing.assert_array_equal(load_image(source), picture)
    assert images.as_image(picture) is picture


def test_pictures_in_memory_are_turned_into_rgb_like_files(picture):
    grey = picture[..., 0]
    for source in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(load_image(source), np.repeat(grey[..., None], 3, axis=-1))
    half = np.where(np.arange(60) < 30, 0, 255).astype(np.uint8) * np.ones((40, 1), np.uint8)
    expected = picture.copy()
    expected[:, :30] = 255
    rgba = np.dstack([picture, half])
    np.testing.assert_array_equal(load_image(rgba), expected)
    np.testing.assert_array_equal(load_image(Image.fromarray(rgba)), expected)
    np.testing.assert_array_equal(load_image(np.dstack([grey, half]))[..., 1], expected[..., 0])


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        (('a', 'b'), 'photo: expected a path, bytes, .* got tuple'),
        (None, 'photo: expected a path, bytes, .* got NoneType'),
        ([[1, 2], [3, 4]], 'photo: expected a path, bytes, .* got list'),
        (b'12', 'photo: not a picture in a known format'),
        (io.BytesIO(b'12'), 'photo: not a picture in a known format'),
        (io.StringIO('12'), 'photo: expected a file opened for bytes, found one for text'),
        (np.zeros((4, 4, 3)), 'photo: expected a uint8 array, got float64'),
        (jnp.zeros((4, 4, 3), jnp.bfloat16), 'photo: expected a uint8 array, got bfloat16'),
        (np.zeros((3, 4, 5), np.uint8), r'photo: expected shape \[H, W, 3\], got \[3, 4, 5\]'),
        (np.zeros((0, 4, 3), np.uint8), r'photo: expected shape \[H, W, 3\], got \[0, 4, 3\]'),
        (np.zeros((4, 0), np.uint8), r'photo: expected shape \[H, W, 3\], got \[4, 0\]'),
        (Foreign(None), r'photo: cannot be made a NumPy array \(TypeError: it lies on a GPU\)'),
        ('x' * 300, r'x+…x+: cannot be read \(File name too long\)'),
        ('a\0b', r'a\\x00b: no such file'),
    ],
)
def test_what_is_no_picture_is_told(source, message):
    with pytest.raises(ImageError, match=message):
        images.as_image(source, 'photo')
    with pytest.raises(ImageError):
        load_image(source)


def encode_raw_png(depth, colour_type, row, transparent) -> bytes:
    """A PNG file of one row, of any depth, with a transparent colour."""

    def chunk(kind, content):
        checksum = struct.pack('>I', zlib.crc32(kind + content))
        return struct.pack('>I', len(content)) + kind + content + checksum

    samples = 3 if colour_type == 2 else 1
    width = len(row) * 8 // (depth * samples)
    header = struct.pack('>IIBBBBB', width, 1, depth, colour_type, 0, 0, 0)
    return b''.join(
        [
            b'\x89PNG\r\n\x1a\n',
            chunk(b'IHDR', header),
            chunk(b'tRNS', struct.pack(f'>{samples}H', *transparent)),
            chunk(b'IDAT', zlib.compress(b'\0' + row)),
            chunk(b'IEND', b''),
        ]
    )


@pytest.mark.parametrize(
    ('depth', 'colour_type', 'row', 'transparent', 'expected'),
    [
        (1, 0, b'\x80', [0], [255] * 8),
        (1, 0, b'\x40', [1], [0, 255] + [0] * 6),
        (2, 0, bytes([0b00100111]), [2], [0, 255, 85, 255]),
        (4, 0, b'\x05\xf1', [5], [0, 255, 255, 17]),
        (8, 0, b'\x05\xf1\x00', [5], [255, 241, 0]),
        # 256 and 257 are the same in 8 bits: only one of them is transparent.
        (16, 0, struct.pack('>3H', 256, 257, 514), [257], [1, 255, 2]),
        (16, 0, struct.pack('>3H', 256, 257, 514), [0], [1, 1, 2]),
        (8, 2, bytes([1, 2, 3, 7, 7, 7]), [1, 2, 3], [255, 7]),
        (16, 2, struct.pack('>6H', 7167, 11008, 1, 1799, 1799, 1799), [7167, 11008, 1], [255, 7]),
    ],
)
def test_a_transparent_colour_lies_on_white_in_every_depth(
    depth, colour_type, row, transparent, expected
):
    loaded = load_image(encode_raw_png(depth, colour_type, row, transparent))
    np.testing.assert_array_equal(loaded, np.repeat(np.uint8([expected])[..., None], 3, axis=-1))


def test_sixteen_bit_photo_with_a_transparent_colour(shared):
    path = shared / 'cases' / 'grey16_trns.png'
    if not path.is_file():
        pytest.skip(f'{path} is not there')
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    expected = np.where(values == 0, 255, np.round(values / 257)).astype(np.uint8)
    np.testing.assert_array_equal(load_image(path)[..., 0], expected)


def test_resize_shrinks_one_side_by_means():
    stripes = np.zeros((1024, 20), np.float32)
    stripes[::4] = 255
    resized = images.resize(stripes, 64, 40)
    np.testing.assert_allclose(resized, 63.75, atol=1e-2)


def test_resize_takes_means_to_shrink(picture):
    pixels = picture.astype(np.float32)
    expected = pixels.reshape(20, 2, 30, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(images.resize(pixels, 20, 30), expected, atol=1e-3)
    assert images.resize(pixels, 80, 90).shape == (80, 90, 3)
