"""Videos that PyAV has just written: their times, their sound, and what is wrong with them."""

import io
import itertools
import socket
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from mattingjax.errors import VideoError
from mattingjax.inference.video.damage import Losses
from mattingjax.inference.video.reading import open_video
from tests.inference.video.clips import Clip, damaged, index_of, packets_of

B_FRAMES = {'preset': 'medium', 'bf': '3', 'b-adapt': '0'}
LONG = Clip(times=range(60), options={**B_FRAMES, 'g': '10'})
MILLISECONDS = Fraction(1, 1000)
VARIABLE = (0, 40, 45, 130, 131, 300, 410)


class Pipe(io.RawIOBase):
    """Bytes that can be read once, as those of standard input."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(buffer)


def read(path, **options):
    """The source and all moments: which picture, and when."""
    with open_video(path, **options) as video:
        frames = list(video.frames())
    return video, [(index_of(f.picture.pixels()), m) for f in frames for m in f.moments]


def shown(path, **options):
    """Which picture is shown at which time."""
    return [(index, moment.time) for index, moment in read(path, **options)[1]]


def refusal(path, **options):
    """The one line with which a video is refused, without its name."""
    with pytest.raises(VideoError) as caught, open_video(path, **options) as video:
        list(video.frames())
    message = str(caught.value)
    assert message.startswith(f'{path}: ')
    assert '\n' not in message
    return message.removeprefix(f'{path}: ')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('clips')


@pytest.fixture(scope='module')
def long_mp4(folder):
    path = folder / 'long.mp4'
    container_options = {'movflags': 'faststart'}
    clip = Clip(LONG.times, options=LONG.options, container_options=container_options)
    clip.write(path)
    return path


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
def test_times_at_a_constant_rate(folder, name, clip):
    if clip.codec == 'gif':
        clip = Clip(codec='gif', pixels='rgb8')
    clip.write(folder / name)
    video, moments = read(folder / name)
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
def test_times_at_a_variable_rate(folder, name):
    Clip(VARIABLE, MILLISECONDS, options=B_FRAMES).write(folder / name)
    _, moments = read(folder / name)
    assert [(index, moment.time * 1000) for index, moment in moments] == list(enumerate(VARIABLE))
    gaps = [moment.duration * 1000 for _, moment in moments[:-1]]
    assert gaps == [b - a for a, b in itertools.pairwise(VARIABLE)]


@pytest.mark.parametrize('name', ['late.mp4', 'late.mkv'])
def test_sound_may_come_first(folder, name):
    Clip(range(5, 15), sound='aac', seconds=Fraction(3, 5)).write(folder / name)
    assert shown(folder / name) == [(k, Fraction(k + 5, 25)) for k in range(10)]


def test_negative_times_are_shifted(folder):
    options = {'avoid_negative_ts': 'disabled'}
    Clip(range(-3, 7), codec='mpeg4', container_options=options).write(folder / 'negative.mkv')
    assert packets_of(folder / 'negative.mkv', 'video')[0].pts == -120
    assert shown(folder / 'negative.mkv') == [(k, Fraction(k, 25)) for k in range(10)]


def test_what_an_edit_list_hides_stays_hidden(folder):
    Clip(range(-3, 7), codec='mpeg4').write(folder / 'edited.mp4')
    times = [time for _, time in shown(folder / 'edited.mp4')]
    assert times == [Fraction(k, 25) for k in range(len(times))]
    assert read(folder / 'edited.mp4')[0].repeated == 0


def test_times_that_do_not_increase_are_left_out(folder):
    Clip(codec='mpeg4').write(folder / 'plain.mkv')
    times = iter((0, 40, 40, 120, 120, 120, 240))
    with (
        av.open(str(folder / 'plain.mkv')) as plain,
        av.open(str(folder / 'twice.mkv'), 'w') as output,
    ):
        stream = output.add_stream_from_template(plain.streams.video[0])
        for packet, time in zip(plain.demux(), times, strict=False):
            packet.pts = packet.dts = time
            packet.stream = stream
            output.mux(packet)
    assert shown(folder / 'twice.mkv') == [(k, Fraction(k, 25)) for k in (0, 1, 3, 6)]


@pytest.mark.parametrize(
    ('name', 'codec'),
    [('s.mp4', 'aac'), ('s.mkv', 'libopus'), ('s.avi', 'pcm_s16le'), ('s.mov', 'pcm_s16le')],
)
def test_packets_of_sound_are_those_of_the_file(folder, name, codec):
    Clip(codec='mpeg4', sound=codec).write(folder / name)
    video, _ = read(folder / name)
    (track,) = video.sound
    expected = packets_of(folder / name, 'audio')
    assert [(p.pts, p.dts, p.duration, bytes(p)) for p in track.packets] == [
        (p.pts, p.dts, p.duration, bytes(p)) for p in expected
    ]
    assert len(expected) > 5


def test_an_mpeg_stream_counts_from_its_beginning(folder):
    Clip(
        sound='aac', sound_start=Fraction(2, 25), container_options={'output_ts_offset': '1000'}
    ).write(folder / 'first.ts')
    first = packets_of(folder / 'first.ts', 'video')[0].pts
    assert first >= 1000 * 90000
    video, moments = read(folder / 'first.ts')
    assert [moment.time for _, moment in moments] == [Fraction(k, 25) for k in range(10)]
    sound = packets_of(folder / 'first.ts', 'audio')
    (track,) = video.sound
    assert [p.pts for p in track.packets] == [p.pts - first for p in sound]
    assert [bytes(p) for p in track.packets] == [bytes(p) for p in sound]


def test_joined_mpeg_streams_go_on(folder):
    Clip(sound='aac').write(folder / 'part.ts')
    part = (folder / 'part.ts').read_bytes()
    (folder / 'joined.ts').write_bytes(part + part)
    moments = shown(folder / 'joined.ts')
    assert [index for index, _ in moments] == [*range(10), *range(10)]
    gaps = [b - a for (_, a), (_, b) in itertools.pairwise(moments)]
    assert gaps[:9] == gaps[10:] == [Fraction(1, 25)] * 9
    assert Fraction(1, 25) <= gaps[9] < Fraction(1, 10)  # the sound lasts a little longer


@pytest.mark.parametrize('name', ['part.mp4', 'part.mkv', 'part.ts', 'part.h264'])
def test_start_and_duration(folder, name):
    sound = None if name.endswith('h264') else 'aac'
    clip = Clip(LONG.times, options=LONG.options, sound=sound, seconds=Fraction(12, 5))
    clip.write(folder / name)
    whole, moments = read(folder / name)
    for start in (None, Fraction(2, 5), Fraction(1, 3), Fraction(123, 100), Fraction(23, 10)):
        for duration in (None, Fraction(1, 2)):
            offset = (start or 0) // whole.time_base * whole.time_base
            end = offset + (duration or 100)
            part, found = read(folder / name, start=start, duration=duration)
            expected = [(i, m.time - offset) for i, m in moments if offset <= m.time < end]
            assert [(index, moment.time) for index, moment in found] == expected
            assert (part.repeated, part.damage) == (0, None)
            if part.count is not None:
                assert abs(part.count - len(expected)) <= 1
            if duration:
                last = found[-1][1]
                assert last.time + last.duration <= duration
            for track, all_of_it in zip(part.sound, whole.sound, strict=True):
                base = track.packets[0].time_base if track.packets else Fraction(1)
                ticks = round(offset / base)
                begin = offset if start else -1  # AAC's first packet comes before 0
                wanted = [p for p in all_of_it.packets if begin <= p.pts * base < end]
                assert [p.pts for p in track.packets] == [p.pts - ticks for p in wanted]
                assert [bytes(p) for p in track.packets] == [bytes(p) for p in wanted]


@pytest.mark.parametrize(('name', 'seekable'), [('p.mkv', True), ('p.mkv', False), ('p.ts', False)])
def test_standard_input(folder, name, seekable):
    clip = Clip(range(30), options={**B_FRAMES, 'g': '10'}, sound='aac', seconds=Fraction(6, 5))
    clip.write(folder / name)
    data = (folder / name).read_bytes()
    for start in (None, Fraction(3, 5)):
        file = io.BytesIO(data) if seekable else io.BufferedReader(Pipe(data))
        video, moments = read(file, start=start)
        again, expected = read(folder / name, start=start)
        assert moments == expected
        assert video.name == 'standard input'
        assert len(video.sound[0].packets) == len(again.sound[0].packets)
        assert not file.closed


def test_an_mp4_through_a_pipe(long_mp4, folder):
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
    with pytest.raises(VideoError, match='standard input: an MP4 whose index is at its end'):
        read(pipe)


def test_frames_come_while_the_file_is_read(folder):
    Clip(range(100), sound='aac', seconds=Fraction(4)).write(folder / 'lazy.mkv')
    with open_video(folder / 'lazy.mkv') as video:
        frames = video.frames()
        next(frames)
        early = len(video.sound[0].packets)
        list(frames)
        assert early < len(video.sound[0].packets) / 2


def test_nothing_is_read_once_it_is_closed(long_mp4):
    with open_video(long_mp4) as video:
        frames = video.frames()
        next(frames)
    assert len(list(frames)) < 59


def test_what_the_header_says(folder):
    Clip(rate=50, sound='aac').write(folder / 'aspect.mkv', sample_aspect_ratio=Fraction(4, 3))
    with open_video(folder / 'aspect.mkv') as video:
        assert video.pixel_aspect == Fraction(4, 3)
        assert video.time_base == MILLISECONDS
        assert not video.is_live
        assert video.notes == []
        assert [track.stream.codec_context.name for track in video.sound] == ['aac']


def test_pictures_of_another_size_are_scaled(folder):
    Clip().write(folder / 'one.h264')
    Clip(size=(96, 96)).write(folder / 'two.h264')
    both = folder / 'both.h264'
    both.write_bytes((folder / 'one.h264').read_bytes() + (folder / 'two.h264').read_bytes())
    with open_video(both) as video:
        frames = list(video.frames())
    assert len(frames) == 20
    assert {frame.picture.pixels().shape for frame in frames} == {(48, 64, 3)}


@pytest.mark.parametrize(
    ('packets', 'lost', 'before'),
    [
        ((15,), 1, None),
        ((15, 16, 31), 3, None),
        ((0,), 10, 10),  # the whole group of pictures; the next begins with frame 10
        ((20,), 1, None),
        ((59,), 1, None),
    ],
)
def test_damaged_frames_are_repeated(long_mp4, folder, packets, lost, before, capfd):
    path = folder / f'damaged{packets}.mp4'
    path.write_bytes(damaged(long_mp4, packets, keep=5))
    with open_video(path) as video:
        frames = list(video.frames())
    moments = [moment for frame in frames for moment in frame.moments]
    assert [moment.time for moment in moments] == [Fraction(k, 25) for k in range(60)]
    assert video.repeated >= lost
    assert len(frames) == 60 - video.repeated
    assert video.damage is None
    assert capfd.readouterr() == ('', '')
    if before is not None:
        assert index_of(frames[0].picture.pixels()) == before


class Packet:
    """As much of a packet as `Losses` looks at."""

    def __init__(self, pts, first_byte=0x10, is_keyframe=False):
        self.pts, self.size, self.duration = pts, 1, 1
        self.is_keyframe, self.is_corrupt, self.is_discard = is_keyframe, False, False
        self._data = bytes([first_byte])

    def __bytes__(self):
        return self._data


def test_packets_that_are_not_shown_are_not_lost():
    losses = Losses('vp8', is_cut=True)
    losses.sent(Packet(-1))  # before the first key frame
    losses.failed()
    losses.sent(Packet(0, is_keyframe=True))
    losses.sent(Packet(1))  # gives no frame, and no error
    assert list(losses.before(0)) == []
    losses.sent(Packet(2))
    assert list(losses.before(2)) == []
    losses.sent(Packet(3))
    losses.sent(Packet(4, first_byte=0))  # VP8's bit says that it is hidden
    losses.failed()
    losses.sent(Packet(5))  # this may need the one that is lost
    losses.sent(Packet(6, is_keyframe=True))
    assert [item.pts for item in losses.before(6)] == [3, 5]
    losses.sent(Packet(7))
    losses.sent(Packet(8))
    assert list(losses.before(8)) == []


def test_the_frame_before_stands_in(folder):
    Clip(codec='mjpeg', pixels='yuvj420p').write(folder / 'm.avi')
    path = folder / 'gap.avi'
    path.write_bytes(damaged(folder / 'm.avi', (4, 5), keep=0))
    with open_video(path) as video:
        frames = list(video.frames())
    assert video.repeated == 2
    assert [index_of(frame.picture.pixels()) for frame in frames] == [0, 1, 2, 3, 6, 7, 8, 9]
    assert [m.time * 25 for m in frames[3].moments] == [3, 4, 5]


@pytest.mark.parametrize('name', ['cut.mp4', 'cut.mkv', 'cut.avi'])
def test_a_file_that_is_cut_off(folder, name):
    options = {'movflags': 'faststart'} if name == 'cut.mp4' else {}
    codec = 'mjpeg' if name == 'cut.avi' else 'libx264'
    pixels = 'yuvj420p' if name == 'cut.avi' else 'yuv420p'
    clip = Clip(range(60), codec=codec, pixels=pixels, container_options=options)
    clip.write(folder / f'whole_{name}')
    data = (folder / f'whole_{name}').read_bytes()
    position = packets_of(folder / f'whole_{name}', 'video')[30].pos
    (folder / name).write_bytes(data[: position + 12])
    video, moments = read(folder / name)
    assert video.damage == 'ends after 1.2 s of 2.4 s'
    assert 30 <= len(moments) <= 31
    assert read(folder / name, duration=Fraction(1))[0].damage is None


def test_an_mp4_without_its_index(folder):
    Clip().write(folder / 'full.mp4')
    (folder / 'no_index.mp4').write_bytes((folder / 'full.mp4').read_bytes()[:-400])
    assert refusal(folder / 'no_index.mp4').startswith('an incomplete MP4')


def test_what_is_not_there(tmp_path):
    assert refusal(tmp_path / 'none.mp4') == 'no such file'
    assert refusal(tmp_path) == 'expected a video, found a folder'
    (tmp_path / 'empty.mp4').touch()
    assert refusal(tmp_path / 'empty.mp4') == 'expected a video, found an empty file'
    (tmp_path / 'letter.mp4').write_text('Dear reader,\n' * 100)
    assert refusal(tmp_path / 'letter.mp4') == 'not a video that FFmpeg can read'


def test_only_sound(folder):
    with av.open(str(folder / 'sound.mka'), 'w') as output:
        stream = output.add_stream('aac', rate=48000)
        for packet in Clip()._sound(stream):
            output.mux(packet)
    assert refusal(folder / 'sound.mka') == 'has no video, only sound (aac)'


def test_a_cover_is_no_video(folder):
    cover = io.BytesIO()
    Image.new('RGB', (64, 64)).save(cover, 'PNG')
    with av.open(str(folder / 'cover.m4a'), 'w', format='mp4') as output:
        sound = output.add_stream('aac', rate=48000)
        picture = output.add_stream('png', rate=25)
        picture.width = picture.height = 64
        picture.pix_fmt = 'rgb24'
        picture.disposition = av.stream.Disposition.attached_pic
        for packet in Clip()._sound(sound):
            output.mux(packet)
        packet = av.Packet(cover.getvalue())
        packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 25)
        output.mux(packet)
    expected = 'has no video, only sound (aac), a cover picture (png)'
    assert refusal(folder / 'cover.m4a') == expected


@pytest.mark.parametrize(
    ('name', 'known', 'unknown', 'named'),
    [('u.mp4', b'avc1', b'zzz1', 'zzz1'), ('u.avi', b'FMP4', b'VIV3', 'VIV3')],
)
def test_a_codec_that_nobody_decodes(folder, name, known, unknown, named):
    Clip(codec='mpeg4' if name == 'u.avi' else 'libx264').write(folder / name)
    (folder / name).write_bytes((folder / name).read_bytes().replace(known, unknown))
    assert refusal(folder / name).startswith(f'no decoder for its video (none ({named} ')


def test_interlaced_frames_are_refused(folder):
    options = {'x264-params': 'tff=1', 'flags': '+ilme+ildct'}
    Clip(options=options).write(folder / 'fields.mkv')
    message = refusal(folder / 'fields.mkv')
    assert message.startswith('expected whole frames, found interlaced ones')
    assert 'bwdif' in message


def test_no_frame_at_all(folder):
    Clip(codec='mjpeg', pixels='yuvj420p').write(folder / 'n.avi')
    (folder / 'none.avi').write_bytes(damaged(folder / 'n.avi', range(10), keep=0))
    assert refusal(folder / 'none.avi') == 'no frame can be decoded'


def test_start_and_duration_are_checked(long_mp4):
    assert refusal(long_mp4, start=Fraction(5, 2)) == 'start: expected at most 2.36 s, got 2.5 s'
    for options in ({'start': Fraction(-1)}, {'duration': Fraction(0)}):
        with pytest.raises(VideoError, match=r'expected seconds'):
            open_video(long_mp4, **options)


@pytest.mark.parametrize(
    'name', ['still.png', 'still.jpg', 'still.gif', 'still.webp', 'still.avif']
)
def test_still_pictures_are_refused(tmp_path, name):
    Image.new('RGB', (64, 48), 'red').save(tmp_path / name)
    assert 'mattingjax predict' in refusal(tmp_path / name)


def test_an_animated_picture_is_a_video(tmp_path):
    pictures = [Image.new('RGB', (64, 48), (20 + 5 * k,) * 3) for k in range(4)]
    for name in ('a.gif', 'a.png', 'a.webp'):
        pictures[0].save(
            tmp_path / name, save_all=True, append_images=pictures[1:], duration=100, lossless=True
        )
    for name in ('a.gif', 'a.png'):
        assert [time for _, time in shown(tmp_path / name)] == [Fraction(k, 10) for k in range(4)]
    assert refusal(tmp_path / 'a.webp').startswith('an animated WebP, which FFmpeg cannot read')


def test_pictures_too_large_are_refused(tmp_path):
    (tmp_path / 'huge.y4m').write_bytes(b'YUV4MPEG2 W17000 H17000 F25:1 C420\nFRAME\n' + bytes(99))
    assert refusal(tmp_path / 'huge.y4m') == 'not a video that FFmpeg can read'
    (tmp_path / 'long.y4m').write_bytes(b'YUV4MPEG2 W40000 H16 F25:1 C420\nFRAME\n' + bytes(10**6))
    assert refusal(tmp_path / 'long.y4m').endswith('found 40000 x 16')


def test_nothing_else_is_opened(long_mp4, folder):
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(0)
        url = f'http://127.0.0.1:{server.getsockname()[1]}/a.mp4'
        hls = '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n'
        sdp = (
            'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {} RTP/AVP 96\n'
        )
        lists = {
            'local.m3u8': hls.format(long_mp4.name),
            'remote.m3u8': hls.format(url),
            'local.ffconcat': f'ffconcat version 1.0\nfile {long_mp4.name}\n',
            'remote.ffconcat': f'ffconcat version 1.0\nfile {url}\n',
            'remote.sdp': sdp.format(server.getsockname()[1]) + '\na=rtpmap:96 H264/90000\n',
        }
        for name, text in lists.items():
            (folder / name).write_text(text)
            assert refusal(folder / name) == 'not a video that FFmpeg can read'
        for name in (url, f'concat:{long_mp4}|{long_mp4}', f'file:{long_mp4}'):
            assert refusal(name) == 'no such file'
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_name_is_only_a_name(long_mp4, tmp_path):
    path = tmp_path / 'picture%03d.png'
    path.write_bytes(long_mp4.read_bytes())
    assert read(path)[1] == read(long_mp4)[1]


def test_without_pyav(long_mp4, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(ImportError, match=r'mattingjax\[video\]'):
        open_video(long_mp4)
