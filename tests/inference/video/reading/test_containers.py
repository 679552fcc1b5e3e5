"""What is no video, or none that can be read, is refused in one line."""

import io
import os
import socket
import sys
from fractions import Fraction

import av
import pytest
from PIL import Image

from mattingjax.inference.video.reading import open_video
from tests.inference.video.clips import Clip
from tests.inference.video.reading.watching import long_clip, read, refusal, shown


@pytest.fixture(scope='module')
def long_mp4(tmp_path_factory):
    return long_clip(tmp_path_factory.mktemp('clips'))


def test_an_mp4_without_its_index(tmp_path):
    Clip().write(tmp_path / 'full.mp4')
    (tmp_path / 'no_index.mp4').write_bytes((tmp_path / 'full.mp4').read_bytes()[:-400])
    assert refusal(tmp_path / 'no_index.mp4').startswith('an incomplete MP4')


def test_what_is_not_there(tmp_path):
    assert refusal(tmp_path / 'none.mp4') == 'no such file'
    assert refusal(tmp_path) == 'expected a video, found a folder'
    (tmp_path / 'empty.mp4').touch()
    assert refusal(tmp_path / 'empty.mp4') == 'expected a video, found an empty file'
    (tmp_path / 'letter.mp4').write_text('Dear reader,\n' * 100)
    assert refusal(tmp_path / 'letter.mp4') == 'not a video that FFmpeg can read'


def test_only_sound(tmp_path):
    with av.open(str(tmp_path / 'sound.mka'), 'w') as output:
        stream = output.add_stream('aac', rate=48000)
        for packet in Clip().encode_sound(stream):
            output.mux(packet)
    assert refusal(tmp_path / 'sound.mka') == 'has no video, only sound (aac)'


def test_a_cover_is_no_video(tmp_path):
    cover = io.BytesIO()
    Image.new('RGB', (64, 64)).save(cover, 'PNG')
    with av.open(str(tmp_path / 'cover.m4a'), 'w', format='mp4') as output:
        sound = output.add_stream('aac', rate=48000)
        picture = output.add_stream('png', rate=25)
        picture.width = picture.height = 64
        picture.pix_fmt = 'rgb24'
        picture.disposition = av.stream.Disposition.attached_pic
        for packet in Clip().encode_sound(sound):
            output.mux(packet)
        packet = av.Packet(cover.getvalue())
        packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 25)
        output.mux(packet)
    expected = 'has no video, only sound (aac), a cover picture (png)'
    assert refusal(tmp_path / 'cover.m4a') == expected


@pytest.mark.parametrize(
    ('name', 'known', 'unknown', 'named'),
    [('u.mp4', b'avc1', b'zzz1', 'zzz1'), ('u.avi', b'FMP4', b'VIV3', 'VIV3')],
)
def test_a_codec_that_nobody_decodes(tmp_path, name, known, unknown, named):
    Clip(codec='mpeg4' if name == 'u.avi' else 'libx264').write(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(known, unknown))
    assert refusal(tmp_path / name).startswith(f'no decoder for its video (none ({named} ')


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


def test_nothing_else_is_opened(long_mp4, tmp_path):
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
            (tmp_path / name).write_text(text)
            assert refusal(tmp_path / name) == 'not a video that FFmpeg can read'
        for name in (url, f'concat:{long_mp4}|{long_mp4}', f'file:{long_mp4}'):
            assert refusal(name) == 'no such file'
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_name_is_only_a_name(long_mp4, tmp_path):
    path = tmp_path / 'picture%03d.png'
    path.write_bytes(long_mp4.read_bytes())
    assert read(path)[1] == read(long_mp4)[1]


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    assert refusal(tmp_path / 'pipe').startswith('expected a file, found a device or a pipe; ')


def test_without_pyav(long_mp4, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(ImportError, match=r'mattingjax\[video\]'):
        open_video(long_mp4)
