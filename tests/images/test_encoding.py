"""Pictures as PNG, WebP and JPEG files."""

import io
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError, load_image
from mattingjax.images import choose_format, encode_image, encode_jpeg, encode_png, encode_webp
from mattingjax.images.icc import DISPLAY_P3, make_profile

PROFILE = make_profile(DISPLAY_P3)


def draw(channels: int, height: int = 37, width: int = 53) -> np.ndarray:
    """Flat and noisy parts, as cut-outs have: [H, W] or [H, W, C]."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = np.random.default_rng(channels).integers(0, 256, shape, dtype=np.uint8)
    pixels[: height // 3] = 0
    pixels[height // 2 :, : width // 3] = 255
    return pixels


def decode_strictly(content: bytes, channels: int) -> np.ndarray:
    """Decodes a PNG by the specification: checksums, lengths and the one filter that we use."""
    assert content[:8] == b'\x89PNG\r\n\x1a\n'
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack_from('>I', content, at)
        body = content[at + 4 : at + 8 + length]
        assert struct.unpack_from('>I', content, at + 8 + length) == (zlib.crc32(body),)
        assert body[:4] not in chunks
        chunks[body[:4]] = body[4:]
        at += 12 + length
    assert list(chunks) in ([b'IHDR', b'IDAT', b'IEND'], [b'IHDR', b'iCCP', b'IDAT', b'IEND'])
    width, height, *rest = struct.unpack('>2I5B', chunks[b'IHDR'])
    assert rest == [8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0]
    stream = zlib.decompressobj()
    rows = np.frombuffer(stream.decompress(chunks[b'IDAT']), np.uint8).reshape(height, -1)
    assert stream.eof
    assert not stream.unused_data
    assert (rows[:, 0] == 2).all()
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(height, width, channels)


@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('profile', [None, PROFILE])
@pytest.mark.parametrize('size', [(37, 53), (1, 1), (1, 300), (300, 1)])
def test_png_decodes_to_the_same_pixels_everywhere(channels, profile, size):
    pixels = draw(channels, *size)
    profile = None if channels == 1 else profile
    content = encode_png(pixels, profile)
    with Image.open(io.BytesIO(content)) as image:
        assert image.info.get('icc_profile') == profile
        image.load()
        np.testing.assert_array_equal(np.asarray(image), pixels)
    read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    order = [0] if channels == 1 else [2, 1, 0, 3][:channels]
    read = read.reshape(*size, channels)[..., order].reshape(pixels.shape)
    np.testing.assert_array_equal(read, pixels)
    np.testing.assert_array_equal(decode_strictly(content, channels).reshape(pixels.shape), pixels)


def test_png_takes_views(picture):
    for view in (picture[::-1], picture[:, ::2], picture.transpose(1, 0, 2), picture[..., ::-1]):
        np.testing.assert_array_equal(load_image(encode_png(view)), view)


def test_png_without_isal_is_the_same_picture():
    """For processors that isal is not made for."""
    code = (
        'import sys; sys.modules["isal"] = None\n'
        'import numpy as np\n'
        'from mattingjax.images import encode_png\n'
        'pixels = np.arange(3000, dtype=np.uint8).reshape(20, 50, 3)\n'
        'sys.stdout.buffer.write(encode_png(pixels))\n'
    )
    content = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True).stdout
    expected = np.arange(3000).astype(np.uint8).reshape(20, 50, 3)
    np.testing.assert_array_equal(load_image(content), expected)


def test_png_is_about_as_small_as_that_of_pillow(picture):
    smooth = cv2.resize(picture, (600, 400), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).normal(0, 3, smooth.shape)
    photo = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    assert len(encode_png(photo)) < 1.15 * len(encode_png(photo, compress_level=3))
    assert len(encode_png(photo, compress_level=9)) < len(photo.tobytes())


def test_webp_keeps_alpha_and_profile():
    pixels = cv2.resize(draw(4), (300, 200), interpolation=cv2.INTER_CUBIC)
    content = encode_image(pixels, 'webp', PROFILE)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.info['icc_profile']) == ('WEBP', PROFILE)
        np.testing.assert_array_equal(np.asarray(image)[..., 3], pixels[..., 3])


@pytest.mark.parametrize(('format', 'name'), [('webp', 'WEBP'), ('jpg', 'JPEG'), ('png', 'PNG')])
def test_every_format_looks_the_same(picture, format, name):
    content = encode_image(picture, format, PROFILE)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.info['icc_profile']) == (name, PROFILE)
        error = np.abs(np.asarray(image).astype(int) - picture)
    assert error.mean() < 2
    assert (error == 0).all() == (format == 'png')


def test_jpeg_may_have_colours_at_full_resolution(picture):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (200, 0, 0)
    stripes[:, 1::2] = (0, 100, 0)
    errors = [
        np.abs(load_image(encode_jpeg(stripes, 92, small=small)).astype(int) - stripes).mean()
        for small in (True, False)
    ]
    assert errors[1] < 0.1 * errors[0]


def test_the_format_suits_the_picture():
    assert [choose_format(1, wanted) for wanted in ('png', 'webp', 'jpg')] == ['png'] * 3
    assert [choose_format(3, wanted) for wanted in ('png', 'webp', 'jpg')] == ['png', 'webp', 'jpg']
    assert [choose_format(4, wanted) for wanted in ('png', 'webp')] == ['png', 'webp']
    with pytest.raises(MattingError, match=r'jpg has no transparency.* expected png or webp, or'):
        choose_format(4, 'jpg')
    with pytest.raises(MattingError, match='expected one of png, webp, jpg, got gif'):
        choose_format(3, 'gif')


@pytest.mark.parametrize(
    ('channels', 'format', 'message'),
    [
        (4, 'jpg', 'jpg has no transparency'),
        (1, 'jpg', 'expected png for a grey picture, got jpg'),
        (1, 'webp', 'expected png for a grey picture, got webp'),
        (3, 'bmp', 'expected one of png, webp, jpg, got bmp'),
    ],
)
def test_what_a_format_cannot_hold_is_refused(channels, format, message):
    with pytest.raises(MattingError, match=message):
        encode_image(draw(channels), format)


@pytest.mark.parametrize(
    ('pixels', 'message'),
    [
        (np.zeros((4, 4, 2), np.uint8), r'expected a number of channels of .*, got 2'),
        (np.zeros((4, 4, 3)), r'expected uint8 .* got float64 \[4, 4, 3\]'),
        (np.zeros((0, 4, 3), np.uint8), r'got uint8 \[0, 4, 3\]'),
        (np.zeros(4, np.uint8), r'got uint8 \[4\]'),
    ],
)
def test_what_is_no_picture_is_refused(pixels, message):
    with pytest.raises(MattingError, match=message):
        encode_png(pixels)


def test_webp_says_how_large_it_may_be():
    with pytest.raises(MattingError, match='at most 16383 pixels a side, got 16384x2'):
        encode_webp(np.zeros((2, 16384, 3), np.uint8), 90)
