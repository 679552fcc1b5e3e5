"""Videos that PyAV has just written: their times, their sound, their properties."""

import io
import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from mattingjax.errors import VideoError
from mattingjax.inference.video.reading import open_video
from tests.inference.video.clips import Clip, packets_of
from tests.inference.video.reading.watching import B_FRAMES, long_clip, read, refusal, shown

MILLISECONDS = Fraction(1, 1000)
VARIABLE = (0, 40, 45, 130, 131, 300, 410)


@pytest.fixture(scope='module')
def long_mp4(tmp_path_factory):
    return long_clip(tmp_path_factory.mktemp('clips'))


class Pipe(io.RawIOBase):
    """Bytes that can be read once, as those of standard input."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(buffer)


@pytest.mark.parametrize(
    ('name', 'clip'),
    [
        ('h264.mp4', Clip(options=B_FRAMES)),
        ('h264.mov', Clip(options=B_FRAMES, sound='pcm_s16le')),
        ('h264.mkv', Clip(options=B_FRAMES, sound='libopus')),
        ('vp9.webm', Clip(codec='libvpx-vp9', sound='libopus')),
        ('mpeg4.avi', Clip(codec='mpeg4', sound='pcm_s16le')),
        ('ffv1.mkv', Clip(codec='ffv1', sound='pcm_s16le')),
        ('hevc.mp4', Clip(codec='libx265')),
        ('animated.gif', Clip(codec='gif')),
        ('bare.h264', Clip()),  # it has no times at all
    ],
)
def test_times_at_a_constant_rate(tmp_path, name, clip):
    if clip.codec == 'gif':
        clip = Clip(codec='gif', pixels='rgb8')
    clip.write(tmp_path / name)
    video, moments = read(tmp_path / name)
    assert [moment.time for _, moment in moments] == [Fraction(k, 25) for k in range(10)]
    if clip.codec != 'gif':
        assert [index for index, _ in moments] == list(range(10))
    assert {moment.duration for _, moment in moments} == {Fraction(1, 25)}
    assert video.rate == 25
    assert video.count in (10, None if name == 'bare.h264' else 10)
    assert (video.repeated, video.damage, video.pixel_aspect) == (0, None, 1)
    assert video.shape == (48, 64)
    assert all(moment.time % video.time_base == 0 for _, moment in moments)


@pytest.mark.parametrize('name', ['variable.mp4', 'variable.mkv', 'variable.ts'])
def test_times_at_a_variable_rate(tmp_path, name):
    Clip(VARIABLE, MILLISECONDS, options=B_FRAMES).write(tmp_path / name)
    _, moments = read(tmp_path / name)
    assert [(index, moment.time * 1000) for index, moment in moments] == list(enumerate(VARIABLE))
    gaps = [moment.duration * 1000 for _, moment in moments[:-1]]
    assert gaps == [b - a for a, b in itertools.pairwise(VARIABLE)]


def test_times_that_do_not_increase_are_left_out(tmp_path):
    Clip(codec='mpeg4').write(tmp_path / 'plain.mkv')
    times = iter((0, 40, 40, 120, 120, 120, 240))
    with (
        av.open(str(tmp_path / 'plain.mkv')) as plain,
        av.open(str(tmp_path / 'twice.mkv'), 'w') as output,
    ):
        stream = output.add_stream_from_template(plain.streams.video[0])
        for packet, time in zip(plain.demux(), times, strict=False):
            packet.pts = packet.dts = time
            packet.stream = stream
            output.mux(packet)
    assert shown(tmp_path / 'twice.mkv') == [(k, Fraction(k, 25)) for k in (0, 1, 3, 6)]


@pytest.mark.parametrize(
    ('name', 'codec'),
    [('s.mp4', 'aac'), ('s.mkv', 'libopus'), ('s.avi', 'pcm_s16le'), ('s.mov', 'pcm_s16le')],
)
def test_packets_of_sound_are_those_of_the_file(tmp_path, name, codec):
    Clip(codec='mpeg4', sound=codec).write(tmp_path / name)
    video, _ = read(tmp_path / name)
    (track,) = video.sound
    expected = packets_of(tmp_path / name, 'audio')
    assert [(p.pts, p.dts, p.duration, bytes(p)) for p in track.packets] == [
        (p.pts, p.dts, p.duration, bytes(p)) for p in expected
    ]
    assert len(expected) > 5


@pytest.mark.parametrize(('name', 'seekable'), [('p.mkv', True), ('p.mkv', False), ('p.ts', False)])
def test_standard_input(tmp_path, name, seekable):
    clip = Clip(range(30), options={**B_FRAMES, 'g': '10'}, sound='aac', seconds=Fraction(6, 5))
    clip.write(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for start in (None, Fraction(3, 5)):
        file = io.BytesIO(data) if seekable else io.BufferedReader(Pipe(data))
        video, moments = read(file, start=start)
        again, expected = read(tmp_path / name, start=start)
        assert moments == expected
        assert video.name == 'the stream'
        assert len(video.sound[0].packets) == len(again.sound[0].packets)
        assert not file.closed


def test_an_mp4_through_a_pipe(long_mp4, tmp_path):
    pipe = io.BufferedReader(Pipe(long_mp4.read_bytes()))
    assert read(pipe)[1] == read(long_mp4)[1]
    # The index of this one comes after more than FFmpeg keeps in memory.
    video = io.BytesIO()
    with av.open(video, 'w', format='mov') as output:
        stream = output.add_stream('rawvideo', rate=25)
        stream.width, stream.height, stream.pix_fmt = 512, 512, 'rgb24'
        pixels = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
        for _ in range(3):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, 'rgb24')))
        output.mux(stream.encode(None))
    pipe = io.BufferedReader(Pipe(video.getvalue()))
    with pytest.raises(VideoError, match='the stream: an MP4 whose index is at its end'):
        read(pipe)


def test_frames_come_while_the_file_is_read(tmp_path):
    Clip(range(100), sound='aac', seconds=Fraction(4)).write(tmp_path / 'lazy.mkv')
    with open_video(tmp_path / 'lazy.mkv') as video:
        frames = video.frames()
        next(frames)
        early = len(video.sound[0].packets)
        list(frames)
        assert early < len(video.sound[0].packets) / 2


def test_what_the_header_says(tmp_path):
    Clip(rate=50, sound='aac').write(tmp_path / 'aspect.mkv', sample_aspect_ratio=Fraction(4, 3))
    with open_video(tmp_path / 'aspect.mkv') as video:
        assert video.pixel_aspect == Fraction(4, 3)
        assert video.time_base == MILLISECONDS
        assert not video.is_live
        assert video.notes == []
        assert [track.stream.codec_context.name for track in video.sound] == ['aac']


def test_pictures_of_another_size_are_scaled(tmp_path):
    Clip().write(tmp_path / 'one.h264')
    Clip(size=(96, 96)).write(tmp_path / 'two.h264')
    both = tmp_path / 'both.h264'
    both.write_bytes((tmp_path / 'one.h264').read_bytes() + (tmp_path / 'two.h264').read_bytes())
    with open_video(both) as video:
        frames = list(video.frames())
    assert len(frames) == 20
    assert {frame.picture.pixels().shape for frame in frames} == {(48, 64, 3)}


def test_interlaced_frames_are_refused(tmp_path):
    options = {'x264-params': 'tff=1', 'flags': '+ilme+ildct'}
    Clip(options=options).write(tmp_path / 'fields.mkv')
    message = refusal(tmp_path / 'fields.mkv')
    assert message.startswith('expected whole frames, found interlaced ones')
    assert 'bwdif' in message
