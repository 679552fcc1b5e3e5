import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from mattingjax import MattingError, images, load_image


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    """Smooth, so that lossy formats keep it: [40, 60, 3]."""
    y, x = np.mgrid[:40, :60]
    return np.stack([4 * x, 6 * y, 255 - 2 * x - y], axis=-1).astype(np.uint8)


def save(path, picture, mode=None, **options):
    image = Image.fromarray(picture)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


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


def test_broken_exif_leaves_the_size(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / 'a.tif', picture, exif=exif)
    assert images.read_size(path) == load_image(path).shape[:2] == (60, 40)
    path = save(tmp_path / 'a.webp', picture, exif=b'Exif\0\0XX nonsense')
    assert images.read_size(path) == load_image(path).shape[:2] == (40, 60)


def test_a_reader_that_runs_programs_is_never_asked(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n')
    with pytest.raises(MattingError, match='not a picture in a known format'):
        load_image(path)


def test_broken_exif_costs_the_orientation_only(tmp_path, picture):
    path = save(tmp_path / 'a.jpg', picture, exif=b'Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\0')
    assert load_image(path).shape == (40, 60, 3)


def truncated_jpeg(picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).resize((600, 400)).save(buffer, 'JPEG')
    return buffer.getvalue()[:2000]


def bomb() -> bytes:
    """A valid PNG of a few hundred bytes that claims 40,000 × 40,000 pixels."""
    buffer = io.BytesIO()
    Image.new('1', (8, 8)).save(buffer, 'PNG')
    content = bytearray(buffer.getvalue())
    content[16:24] = (40_000).to_bytes(4, 'big') * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    return bytes(content)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (truncated_jpeg, 'cannot be read .*truncated'),
        (lambda _: b'', 'not a picture in a known format'),
        (lambda _: b'Dear all, this is no picture.', 'not a picture in a known format'),
        (lambda _: bomb(), 'too large to decode'),
    ],
)
def test_bad_files_are_named(tmp_path, picture, make, message):
    path = tmp_path / 'bad.png'
    path.write_bytes(make(picture))
    with pytest.raises(MattingError, match=f'bad.png: {message}'):
        load_image(path)
    with pytest.raises(MattingError, match=f'standard input: {message}'):
        load_image(path.read_bytes())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MattingError, match=r'none.png: no such file'):
        load_image(tmp_path / 'none.png')
    with pytest.raises(MattingError, match='cannot be read'):
        load_image(tmp_path)


def test_find_images(tmp_path):
    for name in ('b.JPG', 'a/c.png', 'a/notes.txt', '.hidden/d.png', '.e.png', 'out/f.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = images.find_images(tmp_path, leave_out=tmp_path / 'out')
    assert [str(path.relative_to(tmp_path)) for path in found] == ['a/c.png', 'b.JPG']


def test_an_unreadable_folder_is_an_error(tmp_path, monkeypatch):
    (tmp_path / 'private').mkdir()
    scandir = os.scandir

    def refuse(path):  # whoever runs the tests may be root, whom no permission stops
        if str(path).endswith('private'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(MattingError, match=r'private: cannot be read \(Permission denied\)'):
        images.find_images(tmp_path)


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
