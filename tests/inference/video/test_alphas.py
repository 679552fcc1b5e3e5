"""Alphas of videos: transparency or grey, in every range and depth."""

from fractions import Fraction

import numpy as np
import pytest

from mattingjax.errors import VideoError
from mattingjax.inference.video.alphas import at_the_same_time, read_alphas
from mattingjax.inference.video.frames import Moment
from tests.inference.video.alpha_clips import RAMP, SIZE, frame_of_planes, write_clip
from tests.inference.video.clips import Clip
from tests.inference.video.writing.readback import cutouts, write

TRUE = RAMP / 255
CHROMA = np.full((SIZE[0] // 2, SIZE[1] // 2), 128, np.uint8)
OTHER = np.dstack([RAMP[:, ::-1]] * 3)  # colours that say the contrary of the alpha


def read(path):
    alphas = [alpha for _, alpha in read_alphas(path)]
    for alpha in alphas:
        assert alpha.dtype == np.float32
        assert alpha.shape == SIZE
    return alphas


def furthest(path):
    """The largest error in levels of 255."""
    return max(np.abs(alpha - TRUE).max() * 255 for alpha in read(path))


def test_grey_is_exact(tmp_path):
    path = write_clip(tmp_path / 'a.mkv', [RAMP, RAMP // 2])
    first, second = read(path)
    np.testing.assert_array_equal(first, RAMP.astype(np.float32) / 255)
    np.testing.assert_array_equal(second, (RAMP // 2).astype(np.float32) / 255)


@pytest.mark.parametrize(('pixels', 'largest'), [('gray10le', 1023), ('gray16le', 65535)])
def test_grey_of_more_bits_is_exact(tmp_path, pixels, largest):
    numbers = np.linspace(0, largest, SIZE[1]).astype('<u2')[None].repeat(SIZE[0], 0)
    path = write_clip(tmp_path / 'a.mkv', [frame_of_planes(pixels, numbers)], pixels=pixels)
    np.testing.assert_allclose(read(path)[0], numbers / largest, atol=1e-6)


@pytest.mark.parametrize(
    ('pixels', 'color_range', 'black', 'white'),
    [('yuv420p', 0, 16, 235), ('yuv420p', 1, 16, 235), ('yuv420p', 2, 0, 255),
     ('gray', 1, 16, 235), ('gray', 2, 0, 255)],
)  # fmt: skip
def test_luma_in_its_range(tmp_path, pixels, color_range, black, white):
    luma = np.round(black + TRUE * (white - black)).astype(np.uint8)
    luma[0] = 0  # what lies beyond the range is clipped
    luma[1] = 255
    planes = (luma,) if pixels == 'gray' else (luma, CHROMA, CHROMA)
    frame = frame_of_planes(pixels, *planes)
    frame.color_range = color_range
    path = write_clip(tmp_path / 'a.mkv', [frame], 'ffv1', pixels, color_range=color_range)
    (alpha,) = read(path)
    np.testing.assert_allclose(alpha[2:], TRUE[2:], atol=0.51 / (white - black))
    assert alpha[0].max() == 0
    assert alpha[1].min() == 1


@pytest.mark.parametrize(
    ('name', 'codec', 'pixels', 'options'),
    [
        ('a.mp4', 'libx264', 'yuv420p', {'qp': '0'}),
        ('a.mp4', 'libx264', 'yuvj420p', {'qp': '0'}),
        ('a.mp4', 'libx264rgb', 'rgb24', {'qp': '0'}),
        ('a.avi', 'rawvideo', 'yuyv422', {}),
        ('a.nut', 'rawvideo', 'nv12', {}),
        ('a.mkv', 'ffv1', 'yuv420p10le', {}),
        ('a.mkv', 'ffv1', 'bgr0', {}),
        ('a.mov', 'png', 'gray', {}),
    ],
)
def test_grey_of_many_formats(tmp_path, name, codec, pixels, options):
    path = write_clip(tmp_path / name, [RAMP] * 2, codec, pixels, **options)
    assert furthest(path) <= 2


@pytest.mark.parametrize(
    ('name', 'codec', 'pixels', 'options', 'within'),
    [
        ('a.webm', 'libvpx-vp9', 'yuva420p', {'crf': '10', 'b': '0'}, 4),
        ('a.webm', 'libvpx', 'yuva420p', {'auto-alt-ref': '0', 'crf': '4', 'b': '2M'}, 4),
        ('a.mov', 'prores_ks', 'yuva444p10le', {'profile': '4444'}, 0.5),
        ('a.mov', 'qtrle', 'argb', {}, 0),
        ('a.mov', 'png', 'rgba', {}, 0),
        ('a.mkv', 'ffv1', 'bgra', {}, 0),
        ('a.mkv', 'ffv1', 'yuva444p', {}, 1),
        ('a.mkv', 'ffv1', 'gbrap12le', {}, 0.6),
    ],
)
def test_transparency_has_precedence_over_grey(tmp_path, name, codec, pixels, options, within):
    rgba = np.dstack([OTHER, RAMP])
    path = write_clip(tmp_path / name, [rgba] * 3, codec, pixels, **options)
    assert len(read(path)) == 3
    assert furthest(path) <= within + 1e-4


@pytest.mark.parametrize('suffix', ['.webm', '.mkv', '.mov'])
def test_cut_outs_that_are_written_here(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    shown = cutouts(3)
    write(path, 'cutout', shown)
    for (_, alpha), picture in zip(read_alphas(path), shown, strict=True):
        assert np.abs(alpha * 255 - picture[..., 3]).mean() < 1


def test_sound_that_ends_later_is_no_damage(tmp_path):
    Clip(times=range(5), sound='aac', seconds=Fraction(3)).write(tmp_path / 'a.mkv')
    assert len(list(read_alphas(tmp_path / 'a.mkv'))) == 5


def test_opaque_greys_are_mattes(tmp_path):
    """As in formats that always have an alpha; what is opaque and coloured is all foreground."""
    opaque = np.full_like(RAMP, 255)
    grey = np.dstack([RAMP, RAMP, RAMP, opaque])
    later = np.dstack([RAMP, RAMP, RAMP, RAMP // 2])  # the first picture decides
    path = write_clip(tmp_path / 'grey.mov', [grey, later], 'qtrle', 'argb')
    assert furthest(path) == pytest.approx(0, abs=1e-4)
    coloured = np.dstack([RAMP, RAMP[:, ::-1], RAMP, opaque])
    path = write_clip(tmp_path / 'coloured.mov', [coloured, later], 'qtrle', 'argb')
    first, second = read(path)
    assert first.min() == 1
    np.testing.assert_allclose(second, RAMP // 2 / 255, atol=1e-6)


def test_moments(tmp_path):
    path = write_clip(tmp_path / 'a.mkv', [RAMP] * 3, times=[40, 80, 200])
    moments = [moment for moment, _ in read_alphas(path)]
    assert [moment.time * 1000 for moment in moments] == [40, 80, 200]
    third = Moment(Fraction(1, 3), None)
    assert at_the_same_time(third, Moment(Fraction(334, 1000), Fraction(1, 25)))
    assert not at_the_same_time(third, Moment(Fraction(335, 1000), None))


def test_bad_files(tmp_path):
    with pytest.raises(VideoError, match=r'nosuch\.mkv: no such file'):
        read(tmp_path / 'nosuch.mkv')
    (tmp_path / 'text.mkv').write_text('no video')
    with pytest.raises(VideoError, match=r'text\.mkv: not a video'):
        read(tmp_path / 'text.mkv')
    path = write_clip(tmp_path / 'a.mp4', [RAMP] * 50, 'libx264', 'yuv420p', movflags='faststart')
    rng = np.random.default_rng(0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = rng.bytes(40)
    del data[-20:]
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r'a\.mp4: '):
        read(path)
