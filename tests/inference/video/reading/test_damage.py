"""Damaged videos: what is lost keeps its time and is counted."""

from fractions import Fraction

import pytest

from mattingjax.inference.video.reading import open_video
from mattingjax.inference.video.reading.damage import Gaps, Losses
from tests.inference.video.clips import Clip, damaged, index_of, packets_of
from tests.inference.video.reading.watching import long_clip, read, refusal


@pytest.fixture(scope='module')
def long_mp4(tmp_path_factory):
    return long_clip(tmp_path_factory.mktemp('clips'))


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
def test_damaged_frames_are_repeated(long_mp4, tmp_path, packets, lost, before, capfd):
    path = tmp_path / f'damaged{packets}.mp4'
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


def test_the_frame_before_stands_in(tmp_path):
    Clip(codec='mjpeg', pixels='yuvj420p').write(tmp_path / 'm.avi')
    path = tmp_path / 'gap.avi'
    path.write_bytes(damaged(tmp_path / 'm.avi', (4, 5), keep=0))
    with open_video(path) as video:
        frames = list(video.frames())
    assert video.repeated == 2
    assert [index_of(frame.picture.pixels()) for frame in frames] == [0, 1, 2, 3, 6, 7, 8, 9]
    assert [m.time * 25 for m in frames[3].moments] == [3, 4, 5]


@pytest.mark.parametrize('name', ['cut.mp4', 'cut.mkv', 'cut.avi'])
def test_a_file_that_is_cut_off(tmp_path, name):
    options = {'movflags': 'faststart'} if name == 'cut.mp4' else {}
    codec = 'mjpeg' if name == 'cut.avi' else 'libx264'
    pixels = 'yuvj420p' if name == 'cut.avi' else 'yuv420p'
    clip = Clip(range(60), codec=codec, pixels=pixels, container_options=options)
    clip.write(tmp_path / f'whole_{name}')
    data = (tmp_path / f'whole_{name}').read_bytes()
    position = packets_of(tmp_path / f'whole_{name}', 'video')[30].pos
    (tmp_path / name).write_bytes(data[: position + 12])
    video, moments = read(tmp_path / name)
    assert video.damage == 'ends after 1.2 s of 2.4 s'
    assert 30 <= len(moments) <= 31
    assert read(tmp_path / name, duration=Fraction(1))[0].damage is None


def test_no_frame_at_all(tmp_path):
    Clip(codec='mjpeg', pixels='yuvj420p').write(tmp_path / 'n.avi')
    (tmp_path / 'none.avi').write_bytes(damaged(tmp_path / 'n.avi', range(10), keep=0))
    assert refusal(tmp_path / 'none.avi') == 'no frame can be decoded'


def test_nothing_is_read_once_it_is_closed(long_mp4):
    with open_video(long_mp4) as video:
        frames = video.frames()
        next(frames)
    assert len(list(frames)) < 59


def test_frames_that_are_missing_altogether_are_told():
    gaps = Gaps(Fraction(25), Fraction(1, 1000))
    for index in range(100):
        if not 20 <= index < 50:
            gaps.add(40 * index)
    assert gaps.describe() == [
        'frames are missing from 0.76 s to 2.00 s: the ones before are shown longer'
    ]


@pytest.mark.parametrize('ticks', [range(0, 4000, 40), [0, 40, 200, 500, 540, 900, 1300, 1310]])
def test_steady_and_variable_rates_have_no_gaps(ticks):
    gaps = Gaps(Fraction(25), Fraction(1, 1000))
    for tick in ticks:
        gaps.add(tick)
    assert gaps.describe() == []
