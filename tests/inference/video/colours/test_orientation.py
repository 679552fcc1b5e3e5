import math
import struct
import types

import numpy as np
import pytest

from mattingjax.inference.video.colours import Look
from mattingjax.inference.video.colours.orientation import read_turn

av = pytest.importorskip('av')

HEIGHT, WIDTH = 48, 64
# The four numbers of display matrices, and what each does to rows and columns.
TURNS = {
    (1, 0, 0, 1): lambda pixels: pixels,
    (0, 1, -1, 0): lambda pixels: np.rot90(pixels, -1),
    (-1, 0, 0, -1): lambda pixels: np.rot90(pixels, 2),
    (0, -1, 1, 0): np.rot90,
    (-1, 0, 0, 1): lambda pixels: pixels[:, ::-1],
    (1, 0, 0, -1): lambda pixels: pixels[::-1],
    (0, 1, 1, 0): lambda pixels: pixels.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda pixels: np.rot90(pixels[:, ::-1], -1),
}


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """An MP4 file of one frame whose quarters have four colours."""
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    frame = av.VideoFrame.from_ndarray(quarters(), 'rgb24').reformat(
        format='yuv444p', dst_colorspace='ITU601'
    )
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=25, options={'qscale': '1'})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for packet in (*stream.encode(frame.reformat(format='yuv420p')), *stream.encode()):
            container.mux(packet)
    return path.read_bytes()


def quarters():
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2] = 220, 30, 30
    pixels[: HEIGHT // 2, WIDTH // 2 :] = 30, 220, 30
    pixels[HEIGHT // 2 :, : WIDTH // 2] = 30, 30, 220
    pixels[HEIGHT // 2 :, WIDTH // 2 :] = 220, 220, 220
    return pixels


def with_matrix(clip, a, b, c, d):
    """The clip with a display matrix in its track header (ISO 14496-12, 8.3.2)."""
    start = clip.index(b'tkhd') + 4 + 40
    fixed = [round(number * 2**16) for number in (a, b, 0, c, d)]
    return clip[:start] + struct.pack('>5i', *fixed) + clip[start + 20 :]


def decode(tmp_path, clip):
    (tmp_path / 'clip.mp4').write_bytes(clip)
    with av.open(str(tmp_path / 'clip.mp4')) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize('matrix', TURNS)
def test_display_matrix_is_applied_once(tmp_path, clip, matrix):
    frame = decode(tmp_path, with_matrix(clip, *matrix))
    look = Look(frame)
    picture = look.picture(frame)
    want = TURNS[matrix](quarters())
    assert look.shape == picture.shape == want.shape[:2]
    assert look.turned == (want.shape[0] == WIDTH)
    assert look.notes == []
    pixels = picture.pixels()
    assert pixels.flags.c_contiguous
    assert np.percentile(np.abs(pixels.astype(int) - want), 80) < 3  # the edges are soft
    height, width = want.shape[0] // 2, want.shape[1] // 2
    small = picture.resized(height, width)
    assert small.shape == (height, width, 3)
    assert np.percentile(np.abs(small - want[::2, ::2]), 70) < 3


@pytest.mark.parametrize(
    ('degrees', 'matrix'), [(20, (1, 0, 0, 1)), (80, (0, 1, -1, 0)), (-60, (0, -1, 1, 0))]
)
def test_other_angles_are_rounded_with_a_note(tmp_path, clip, degrees, matrix):
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    look = Look(decode(tmp_path, with_matrix(clip, cosine, sine, -sine, cosine)))
    assert look.notes == [f'turned by {degrees} degrees, which is rounded to quarter turns']
    assert look.shape == TURNS[matrix](quarters()).shape[:2]


@pytest.mark.parametrize('scale', [0, 2, 0.5])
def test_scales_do_not_count(tmp_path, clip, scale):
    look = Look(decode(tmp_path, with_matrix(clip, scale, 0, 0, scale)))
    assert (look.shape, look.turned, look.notes) == ((HEIGHT, WIDTH), False, [])


def test_kinds_of_side_data_that_pyav_does_not_know():
    class Unknown:
        def get(self, kind):
            raise ValueError('39 is not a valid Type')

    turn, note = read_turn(types.SimpleNamespace(side_data=Unknown(), rotation=-90))
    np.testing.assert_array_equal(turn.apply(quarters()), np.rot90(quarters(), -1))
    assert note is None
