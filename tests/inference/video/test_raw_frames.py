import io
from fractions import Fraction

import numpy as np
import pytest

from mattingjax.errors import VideoError
from mattingjax.inference.video.raw_frames import open_raw_frames, parse_frame_size
from tests.inference.video.colours.coded_frames import LIMITED, to_rgb

RATE = Fraction(30000, 1001)


class Pipe(io.RawIOBase):
    """Gives a few bytes at a time, as a pipe does."""

    def __init__(self, data, most=37):
        self.data, self.most = data, most

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.data[: min(self.most, len(buffer))]
        self.data = self.data[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def random_bytes(*shape):
    return np.random.default_rng(0).integers(16, 235, shape, dtype=np.uint8)


@pytest.mark.parametrize('stream', [Pipe, io.BytesIO, lambda data: io.BufferedReader(Pipe(data))])
def test_rgb(stream):
    pixels = random_bytes(3, 5, 7, 3)
    with open_raw_frames(stream(pixels.tobytes()), (5, 7), 'rgb24', RATE) as source:
        frames = list(source.frames())
    np.testing.assert_array_equal([frame.picture.pixels() for frame in frames], pixels)
    step = Fraction(1001, 30000)
    assert [frame.moments for frame in frames] == [((k * step, step),) for k in range(3)]
    assert (source.shape, source.rate, source.time_base) == ((5, 7), RATE, step)
    assert (source.pixel_aspect, source.count, source.is_live) == (1, None, False)
    assert (source.damage, source.notes, source.repeated, source.sound) == (None, [], 0, ())


@pytest.mark.parametrize(('size', 'matrix'), [((5, 7), 6), ((4, 6), 6), ((721, 3), 1)])
def test_yuv(size, matrix):
    pytest.importorskip('av')
    height, width = size
    chroma = (height + 1) // 2, (width + 1) // 2
    # One colour a frame: what lies between the samples of chroma does not matter.
    colours = [(81, 90, 220), (145, 54, 34), (41, 240, 110), (235, 128, 128)]
    sizes = height * width, *[chroma[0] * chroma[1]] * 2
    data = b''.join(
        bytes([value]) * count
        for colour in colours
        for value, count in zip(colour, sizes, strict=True)
    )
    source = open_raw_frames(Pipe(data, 1000), size, 'yuv420p', Fraction(25))
    pictures = [frame.picture for frame in source.frames()]
    assert len(pictures) == len(colours)
    for picture, colour in zip(pictures, colours, strict=True):
        assert picture.shape == size
        want = np.clip(to_rgb(np.array(colour), matrix, LIMITED), 0, 1) * 255
        pixels = picture.pixels()
        assert pixels.shape == (*size, 3)
        np.testing.assert_allclose(pixels, np.broadcast_to(want, pixels.shape), atol=1)


def test_rows_of_yuv_stay_where_they_are():
    pytest.importorskip('av')
    luma = random_bytes(5, 7)
    data = luma.tobytes() + bytes([128]) * (2 * 3 * 4)
    source = open_raw_frames(io.BytesIO(data), (5, 7), 'yuv420p', Fraction(25))
    (frame,) = source.frames()
    want = (luma - 16.0) * (255 / 219)
    np.testing.assert_allclose(frame.picture.pixels(), np.dstack([want] * 3), atol=1)


@pytest.mark.parametrize(('pixel_format', 'size'), [('rgb24', 30), ('yuv420p', 16)])
def test_end_within_a_frame(pixel_format, size):
    if pixel_format == 'yuv420p':
        pytest.importorskip('av')
    source = open_raw_frames(Pipe(bytes(2 * size + 3)), (2, 5), pixel_format, Fraction(25))
    assert len(list(source.frames())) == 2
    assert source.damage == f'ends within frame 3: 3 of {size} bytes'


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'the stream: empty, expected raw frames'),
        (b'123', 'the stream: ends within frame 1: 3 of 30 bytes'),
    ],
)
def test_no_frame(data, message):
    source = open_raw_frames(io.BytesIO(data), (2, 5), 'rgb24', Fraction(25))
    with pytest.raises(VideoError) as error:
        next(source.frames())
    assert str(error.value) == message


def test_stream_that_cannot_be_read():
    stream = io.BytesIO(bytes(100))
    stream.close()
    with pytest.raises(VideoError, match=r'^the stream: cannot be read \('):
        next(open_raw_frames(stream, (2, 5), 'rgb24', Fraction(25)).frames())


def test_unknown_pixel_format():
    with pytest.raises(VideoError) as error:
        open_raw_frames(io.BytesIO(), (2, 5), 'nv12', Fraction(25))
    assert str(error.value) == "pixel_format: expected rgb24 or yuv420p, got 'nv12'"


@pytest.mark.parametrize(
    ('text', 'size'), [('640x480', (480, 640)), ('1x16384', (16384, 1)), ('7x5', (5, 7))]
)
def test_sizes(text, size):
    assert parse_frame_size(text) == size


@pytest.mark.parametrize(
    'text', ['', '640', '640X480', '640x', '0x480', '640x-1', '16385x1', '640x480\n', '6٤0x480']
)
def test_texts_that_are_no_sizes(text):
    with pytest.raises(VideoError) as error:
        parse_frame_size(text, 'input_size')
    assert str(error.value) == (
        'input_size: expected WIDTHxHEIGHT in pixels such as 640x480, of 1 to 16384 a side, '
        f'got {text!r}'
    )
