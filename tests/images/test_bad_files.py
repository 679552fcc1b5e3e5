"""Damaged and hostile files."""

import os

import pytest
from PIL import Image

from mattingjax import MattingError, images, load_image
from tests.images.pictures import bomb, huge_tile, save, truncated_jpeg


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


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (truncated_jpeg, 'cannot be read .*truncated'),
        (lambda _: b'', 'not a picture in a known format'),
        (lambda _: b'Dear all, this is no picture.', 'not a picture in a known format'),
        (lambda _: bomb(), 'too large to decode'),
        (lambda _: huge_tile(), 'too large to decode .a tile of 40000x40000 pixels'),
    ],
)
def test_bad_files_are_named(tmp_path, picture, make, message):
    path = tmp_path / 'bad.png'
    path.write_bytes(make(picture))
    with pytest.raises(MattingError, match=f'bad.png: {message}'):
        load_image(path)
    with pytest.raises(MattingError, match=f'bytes: {message}'):
        load_image(path.read_bytes())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MattingError, match=r'none.png: no such file'):
        load_image(tmp_path / 'none.png')
    with pytest.raises(MattingError, match='cannot be read'):
        load_image(tmp_path)


def test_pipes_are_refused_before_they_are_opened(tmp_path):
    path = tmp_path / 'photo.png'
    os.mkfifo(path)
    for read in (load_image, images.read_size):
        with pytest.raises(MattingError, match='expected a file, found a device or a pipe'):
            read(path)
