import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mattingjax.errors import VideoError
from mattingjax.images.preprocessing import resize_photo
from mattingjax.inference.video.colours import Look
from mattingjax.inference.video.colours.high_dynamic_range import Gamut, to_srgb

av = pytest.importorskip('av')

from tests.inference.video.colours.coded_frames import (  # noqa: E402
    COEFFICIENTS,
    FULL,
    LIMITED,
    block_centres,
    create_frame,
    to_rgb,
    to_yuv,
    write_plane,
)

DEPTHS = {
    'yuv420p': 8,
    'nv12': 8,
    'yuv422p': 8,
    'yuv444p': 8,
    'yuv420p10le': 10,
    'yuv422p10le': 10,
    'yuv444p12le': 12,
}


def random_colours(height=4, width=6, seed=0):
    return np.random.default_rng(seed).random((height, width, 3))


def levels(rgb):
    return np.clip(rgb, 0, 1) * 255


def decode_first(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize('colour_range', [LIMITED, FULL])
@pytest.mark.parametrize('matrix', COEFFICIENTS)
@pytest.mark.parametrize('pixel_format', DEPTHS)
def test_matrix_and_range_are_those_of_the_frame(pixel_format, matrix, colour_range):
    bits = DEPTHS[pixel_format]
    yuv = to_yuv(random_colours(), matrix, colour_range, bits)
    pixels = Look(frame := create_frame(yuv, pixel_format, matrix, colour_range)).picture(frame)
    want = levels(to_rgb(yuv, matrix, colour_range, bits))
    np.testing.assert_allclose(block_centres(pixels.pixels()), want, atol=1.5)


@pytest.mark.parametrize(
    ('blocks', 'matrix'), [((3, 3), 6), ((90, 3), 1), ((3, 160), 1), ((89, 159), 6)]
)
@pytest.mark.parametrize('unsaid', [0, 2, 3])
def test_matrix_that_is_not_said_depends_on_the_size(blocks, matrix, unsaid):
    yuv = to_yuv(random_colours(*blocks), matrix, LIMITED)
    frame = create_frame(yuv, 'yuv420p', unsaid, 0)
    look = Look(frame)
    want = levels(to_rgb(yuv, matrix, LIMITED))
    np.testing.assert_allclose(block_centres(look.picture(frame).pixels()), want, atol=1.5)
    assert look.notes == []


def test_old_formats_of_full_range():
    yuv = to_yuv(random_colours(), 6, FULL)
    frame = create_frame(yuv, 'yuvj420p', 6, 0)
    got = block_centres(Look(frame).picture(frame).pixels())
    np.testing.assert_allclose(got, levels(to_rgb(yuv, 6, FULL)), atol=1.5)


def test_matrix_that_swscale_does_not_know_is_told():
    look = Look(create_frame(to_yuv(random_colours(), 1, LIMITED), 'yuv444p', 14, LIMITED))
    assert look.notes == ['wrong colours: their matrix (number 14 of H.273) is not known here']
    constant = create_frame(to_yuv(random_colours(), 9, LIMITED), 'yuv444p', 10, LIMITED)
    assert Look(constant).notes == []


@pytest.mark.parametrize(
    ('colour_range', 'want'), [(LIMITED, [0, 0, 128, 255, 255]), (FULL, [0, 16, 126, 235, 255])]
)
def test_grey(colour_range, want):
    frame = av.VideoFrame(5, 1, 'gray')
    frame.color_range = colour_range
    write_plane(frame.planes[0], np.array([[0, 16, 126, 235, 255]]))
    pixels = Look(frame).picture(frame).pixels()
    assert pixels[0].tolist() == [[level] * 3 for level in want]


@pytest.mark.parametrize('pixel_format', ['rgb24', 'gbrp', 'bgra', 'gbrp12le', 'rgb48le'])
def test_rgb_stays(pixel_format):
    rgb = np.round(levels(random_colours(15, 17))).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, 'rgb24').reformat(format=pixel_format)
    look = Look(frame)
    np.testing.assert_allclose(look.picture(frame).pixels().astype(int), rgb, atol=1)
    assert look.shape == (15, 17)
    assert look.notes == {
        'gbrp12le': ['12-bit colours rounded to 8'],
        'rgb48le': ['16-bit colours rounded to 8'],
        'bgra': ['its transparency is put on white'],
    }.get(pixel_format, [])


def test_unusable_pixel_format():
    with pytest.raises(VideoError, match='frames of the pixel format rgb4 cannot be converted'):
        Look(av.VideoFrame(16, 16, 'rgb4'))


def test_transparency_is_put_on_white():
    rgba = np.zeros((1, 4, 4), np.uint8)
    rgba[0] = [[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 255, 128], [255, 255, 255, 7]]
    frame = av.VideoFrame.from_ndarray(rgba, 'rgba')
    picture = Look(frame).picture(frame)
    want = [[255, 0, 0], [255, 255, 255], [127, 127, 255], [255, 255, 255]]
    assert picture.pixels()[0].tolist() == want
    np.testing.assert_array_equal(picture.resized(1, 2), resize_photo(picture.pixels(), 1, 2))


def test_palettes_with_a_transparent_colour(tmp_path):
    picture = Image.new('P', (8, 6), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    picture.paste(0, (0, 0, 4, 3))
    picture.paste(2, (4, 3, 8, 6))
    picture.save(tmp_path / 'picture.gif', transparency=0)
    frame = decode_first(tmp_path / 'picture.gif')
    pixels = Look(frame).picture(frame).pixels()
    assert pixels[[1, 1, 4, 4], [1, 6, 1, 6]].tolist() == [
        [255, 255, 255],
        [0, 0, 255],
        [0, 0, 255],
        [0, 255, 0],
    ]


def shrunk_sizes():
    return [(96, 128), (64, 80), (144, 176), (100, 176)]


@pytest.mark.parametrize('size', [*shrunk_sizes(), (384, 480), (96, 352), (400, 80)])
def test_resized_is_what_a_photo_would_be(shared, size):
    frame = decode_first(shared / 'data' / 'video' / 'carphone.mp4')
    picture = Look(frame).picture(frame)
    got, want = picture.resized(*size), resize_photo(picture.pixels(), *size)
    assert (got.shape, got.dtype) == ((*size, 3), np.float32)
    assert np.abs(got - want).mean() < (0.45 if size in shrunk_sizes() else 1e-6)


def test_frames_of_another_size_or_format_are_brought_to_the_first():
    look = Look(create_frame(to_yuv(random_colours(), 6, LIMITED), 'yuv420p', 6, LIMITED))
    yuv = to_yuv(random_colours(8, 12), 6, LIMITED, 10)
    other = look.picture(create_frame(yuv, 'yuv444p10le', 1, FULL))  # these are not looked at
    assert (other.shape, other.pixels().shape) == ((32, 48), (32, 48, 3))
    want = resize_photo(levels(to_rgb(yuv, 6, LIMITED, 10)), 4, 6)
    got = resize_photo(other.pixels(), 4, 6)
    np.testing.assert_allclose(got, want, atol=4)
    assert other.resized(16, 24).shape == (16, 24, 3)


@pytest.mark.parametrize(('transfer', 'primaries'), [(3, 3), (16, 9)])
def test_threads_share_a_picture(transfer, primaries):
    """Each conversion changes the frame for a moment: swscale refuses the reserved number 3."""
    yuv = to_yuv(random_colours(8, 12), 9, LIMITED, 10)
    frame = create_frame(yuv, 'yuv420p10le', 9, LIMITED)
    frame.color_trc, frame.color_primaries = transfer, primaries
    picture = Look(frame).picture(frame)
    pixels, resized = picture.pixels(), picture.resized(32, 48)
    start = threading.Barrier(4)

    def convert(_):
        start.wait()
        return all(
            np.array_equal(picture.pixels(), pixels)
            and np.array_equal(picture.resized(32, 48), resized)
            for _ in range(50)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(convert, range(4)))


@pytest.mark.parametrize(
    ('transfer', 'primaries', 'gamut', 'note'),
    [
        (16, 9, Gamut('PQ', 'BT.2020'), 'converted from HDR (PQ, BT.2020) to sRGB'),
        (16, 2, Gamut('PQ', 'BT.2020'), 'converted from HDR (PQ, BT.2020) to sRGB'),
        (16, 12, Gamut('PQ', 'P3'), 'converted from HDR (PQ, P3) to sRGB'),
        (18, 9, Gamut('HLG', 'BT.2020'), 'converted from HDR (HLG, BT.2020) to sRGB'),
        (14, 9, Gamut('SDR', 'BT.2020'), 'converted from BT.2020 to sRGB'),
        (1, 12, Gamut('SDR', 'P3'), 'converted from Display P3 to sRGB'),
    ],
)
@pytest.mark.parametrize('colour_range', [LIMITED, FULL])
def test_colours_beyond_srgb(transfer, primaries, gamut, note, colour_range):
    rng = np.random.default_rng(0)
    # Colours as pictures have them: light of many strengths, of moderate saturation.
    codes = np.clip(0.85 * rng.random((24, 24, 1)) + 0.08 * rng.standard_normal((24, 24, 3)), 0, 1)
    yuv = to_yuv(codes, 9, colour_range, 10)
    frame = create_frame(yuv, 'yuv420p10le', 9, colour_range)
    frame.color_trc, frame.color_primaries = transfer, primaries
    look = Look(frame)
    assert look.notes == [note]
    got = block_centres(look.picture(frame).pixels())
    want = levels(to_srgb(np.clip(to_rgb(yuv, 9, colour_range, 10), 0, 1), gamut))
    error = np.abs(got - want)
    assert error.mean() < 0.6
    assert np.percentile(error, 98) < 4


@pytest.mark.parametrize(('transfer', 'primaries'), [(16, 9), (18, 9), (14, 9), (1, 12)])
def test_ramps_of_grey_beyond_srgb_are_smooth(transfer, primaries):
    codes = np.arange(64, 941)
    yuv = np.stack([codes, np.full_like(codes, 512), np.full_like(codes, 512)], -1)[None]
    frame = create_frame(yuv, 'yuv444p10le', 9, LIMITED)
    frame.color_trc, frame.color_primaries = transfer, primaries
    ramp = block_centres(Look(frame).picture(frame).pixels())[0]
    transfers = {16: 'PQ', 18: 'HLG'}
    gamut = Gamut(transfers.get(transfer, 'SDR'), 'BT.2020' if primaries == 9 else 'P3')
    want = levels(to_srgb(np.repeat((codes[:, None] - 64) / 876, 3, axis=1), gamut))
    np.testing.assert_allclose(ramp, want, atol=0.75)  # half of it is rounding
    assert (np.diff(ramp, axis=0) >= 0).all()
    assert ramp[0].tolist() == [0, 0, 0]
    assert ramp[-1].tolist() == [255, 255, 255]


def test_notes_of_depth():
    yuv = to_yuv(random_colours(), 1, LIMITED, 10)
    assert Look(create_frame(yuv, 'yuv420p10le', 1, LIMITED)).notes == [
        '10-bit colours rounded to 8'
    ]
