"""HEIC photos, with and without the package that reads them."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, images, load_image
from mattingjax.images.icc import DISPLAY_P3, make_profile

P3 = make_profile(DISPLAY_P3)


def encode_heic(picture, **options) -> bytes:
    pillow_heif = pytest.importorskip('pillow_heif')
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'HEIF', quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize('name', ['a.heic', 'a.HEIF', 'a.hif', 'a.jpg'])
def test_heic_is_read_whatever_its_name(tmp_path, picture, name):
    path = tmp_path / name
    path.write_bytes(encode_heic(picture))
    assert images.find_images(tmp_path) == [path]
    assert images.read_size(path) == (40, 60)
    with path.open('rb') as file:
        for source in (path, str(path), path.read_bytes(), file):
            loaded = load_image(source)
            assert loaded.shape == (40, 60, 3)
            assert np.abs(loaded.astype(int) - picture).mean() < 4


@pytest.mark.parametrize('orientation', range(1, 9))
def test_heic_is_upright_once(tmp_path, picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    # As by phones, the turning is written twice: in the file's own box and in EXIF.
    content = encode_heic(picture, exif=exif.tobytes())
    assert (b'irot' in content or b'imir' in content) == (orientation > 1)
    with Image.open(io.BytesIO(content)) as image:
        assert image.info['original_orientation'] == (orientation if orientation > 1 else None)
    path = tmp_path / 'a.heic'
    path.write_bytes(content)
    jpeg = io.BytesIO()
    Image.fromarray(picture).save(jpeg, 'JPEG', quality=95, exif=exif)
    expected = load_image(jpeg.getvalue())
    loaded = load_image(path)
    assert images.read_size(path) == loaded.shape[:2] == expected.shape[:2]
    assert np.abs(loaded.astype(int) - expected).mean() < 4


def test_transparent_heic_lies_on_white(picture):
    alpha = np.zeros((40, 60, 1), np.uint8)
    alpha[:, 30:] = 255
    loaded = load_image(encode_heic(np.dstack([picture, alpha])))
    assert loaded[:, :28].min() > 250
    assert np.abs(loaded[:, 32:].astype(int) - picture[:, 32:]).mean() < 4


def test_profiles_come_along(picture):
    assert images.load_photo(encode_heic(picture)).icc_profile is None
    assert images.load_photo(encode_heic(picture, icc_profile=P3)).icc_profile == P3


@pytest.mark.parametrize(
    ('primaries', 'curve', 'profile'), [(12, 13, P3), (1, 13, None), (2, 2, None), (9, 16, None)]
)
def test_numbers_in_place_of_a_profile(picture, primaries, curve, profile):
    content = encode_heic(
        picture,
        save_nclx_profile=True,
        color_primaries=primaries,
        transfer_characteristics=curve,
        matrix_coefficients=6,
        full_range_flag=1,
    )
    photo = images.load_photo(content)
    assert photo.icc_profile == profile
    assert np.abs(photo.pixels.astype(int) - picture).mean() < 4


@pytest.mark.parametrize('kept', [12, 40, 300, 0.5, 0.9])
def test_damaged_heic_is_named(tmp_path, picture, kept):
    content = encode_heic(np.tile(picture, (8, 8, 1)))
    path = tmp_path / 'bad.heic'
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(MattingError, match=r'bad\.heic: (damaged|cannot be read)') as error:
        load_image(path)
    assert '\n' not in str(error.value)


def test_the_package_is_imported_only_for_heic(tmp_path, picture):
    path = tmp_path / 'a.heic'
    path.write_bytes(encode_heic(picture))
    Image.fromarray(picture).save(tmp_path / 'a.png')
    code = (
        'import sys\n'
        'from mattingjax import images\n'
        'for path in sys.argv[1:]:\n'
        '    images.load_image(path)\n'
        '    print("pillow_heif" in sys.modules)\n'
    )
    command = [sys.executable, '-c', code, str(tmp_path / 'a.png'), str(path)]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    assert process.stdout.split() == ['False', 'True']


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pillow_heif', None)
    path = tmp_path / 'a.heic'
    for brand in (b'heic', b'mif1', b'hevc'):
        path.write_bytes(b'\0\0\0\x18ftyp' + brand + bytes(40))
        for read in (load_image, images.read_size):
            with pytest.raises(
                MattingError,
                match=r'a\.heic: reading HEIC needs the package pillow-heif: pip install '
                r"'mattingjax\[heic\]'",
            ):
                read(path)
