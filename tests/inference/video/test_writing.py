import contextlib
import itertools
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from mattingjax.errors import MattingError, OutputError
from mattingjax.inference.video.frames import Moment
from mattingjax.inference.video.writing import check_output, create_writer
from tests.inference.video.readback import (
    MILLISECOND,
    a_format,
    alphas,
    cutouts,
    grey,
    read,
    rgb,
    sound,
    steady,
    write,
)

pytest.importorskip('av')

LOSSY = [
    *(('alpha', suffix) for suffix in ('.mp4', '.mov', '.mkv', '.webm')),
    *(('cutout', suffix) for suffix in ('.mov', '.mkv', '.webm')),
    *(('composite', suffix) for suffix in ('.mp4', '.mov', '.mkv', '.webm')),
]
ALL = [(*one, False) for one in LOSSY] + [
    (kind, '.mkv', True) for kind in ('alpha', 'cutout', 'composite')
]
SHAPE = (48, 64)
# Time bases of cameras, of film, of containers, and impossible ones; rates that have nothing to do
# with them.
CLOCKS = [
    (Fraction(1, 25), Fraction(25), 1),
    (Fraction(1001, 30000), Fraction(30000, 1001), 1),
    (Fraction(1, 90000), Fraction(10**6), 3003),
    (Fraction(1, 10**9), Fraction(30), 33_333_333),
    (Fraction(1, 1000), Fraction(1, 50), 41),
    (Fraction(1, 3 * 10**9), Fraction(24), 10**8),
]


def decoder(kind, suffix, lossless=False):
    """FFmpeg's own decoder of VP9 does not know of transparency."""
    return 'libvpx-vp9' if kind == 'cutout' and suffix != '.mov' and not lossless else None


def pictures(kind, count=6, shape=SHAPE):
    if kind == 'alpha':
        return alphas(count, shape)
    return [one if kind == 'cutout' else one[..., :3].copy() for one in cutouts(count, shape)]


def irregular(count, time_base, step):
    """Moments whose distances are one, two and three steps; the last one is shown for two."""
    ticks = np.cumsum([0] + [step * (1 + index % 3) for index in range(count)]).tolist()
    return [
        Moment(begin * time_base, (end - begin) * time_base)
        for begin, end in itertools.pairwise(ticks)
    ]


@pytest.mark.parametrize(('kind', 'suffix', 'lossless'), ALL)
@pytest.mark.parametrize(('time_base', 'rate', 'step'), CLOCKS, ids=[str(one[0]) for one in CLOCKS])
def test_times_come_back(tmp_path, kind, suffix, lossless, time_base, rate, step):
    path = tmp_path / f'a{suffix}'
    moments = irregular(5, time_base, step)
    format = a_format(SHAPE, rate, time_base)
    write(path, kind, pictures(kind, 5), moments, format, lossless=lossless)
    video = read(path, decoder(kind, suffix, lossless))
    assert len(video.pictures) == 5
    exact = suffix in ('.mp4', '.mov') and time_base.denominator < 2**31
    tolerance = 0 if exact else MILLISECOND
    for time, duration, moment in zip(video.times, video.durations, moments, strict=True):
        assert abs(time - moment.time) <= tolerance / 2
        assert abs(duration - moment.duration) <= tolerance
    assert abs(video.duration - moments[-1].time - moments[-1].duration) <= tolerance
    assert video.keys[0]


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv', '.webm'])
def test_alphas_come_back(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    written = pictures('alpha')
    assert write(path, 'alpha', written) == []
    video = read(path)
    assert video.tags == (1, 1, 1, 1)
    for before, after in zip(written, grey(video, SHAPE), strict=True):
        assert np.abs(before - after).mean() < 1
        assert np.abs(before - after).max() < 12
    for one in video.pictures:
        for chroma in one[1:]:
            np.testing.assert_array_equal(chroma[:, : SHAPE[1] // 2], 128)


@pytest.mark.parametrize('kind', ['alpha', 'cutout', 'composite'])
def test_without_loss(tmp_path, kind):
    path = tmp_path / 'a.mkv'
    channels = {'alpha': (), 'cutout': (4,), 'composite': (3,)}[kind]
    rng = np.random.default_rng(0)
    written = [rng.integers(0, 256, (*SHAPE, *channels), np.uint8) for _ in range(3)]
    write(path, kind, written, lossless=True)
    video = read(path)
    assert video.tags[0] == 2
    for before, (after,) in zip(written, video.pictures, strict=True):
        if kind != 'alpha':
            after = after.reshape(len(after), -1, 4)[..., [2, 1, 0, 3][: channels[0]]]
        np.testing.assert_array_equal(before, after[:, : SHAPE[1]])
    assert all(video.keys)


@pytest.mark.parametrize('suffix', ['.mov', '.mkv', '.webm'])
def test_cutouts_come_back(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    written = pictures('cutout')
    write(path, 'cutout', written)
    video = read(path, decoder('cutout', suffix))
    assert video.pixels == ('yuva444p12le' if suffix == '.mov' else 'yuva420p')
    depth = 12 if suffix == '.mov' else 8
    for before, planes, colours in zip(
        written, video.pictures, rgb(video, SHAPE, depth), strict=True
    ):
        alpha = planes[3][:48, :64].astype(float) * 255 / (2**depth - 1)
        error = np.abs(alpha - before[..., 3])
        assert error.max() < (0.5 if suffix == '.mov' else 16)
        assert error.mean() < 1
        assert np.abs(colours - before[..., :3])[before[..., 3] > 0].mean() < 3


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv', '.webm'])
def test_colours_come_back(tmp_path, suffix):
    """Flat ones, which no encoder changes much: what is left is the matrix and the range."""
    path = tmp_path / f'a{suffix}'
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 100)]
    written = [np.full((*SHAPE, 3), colour, np.uint8) for colour in colours]
    write(path, 'composite', written)
    video = read(path)
    assert video.tags == (1, 1, 1, 1)
    for before, after in zip(written, rgb(video, SHAPE), strict=True):
        assert np.abs(before - after).max() <= 3


@pytest.mark.parametrize(('kind', 'suffix', 'lossless'), ALL)
@pytest.mark.parametrize('shape', [(1, 1), (1, 9), (9, 1), (2, 2), (47, 63), (32, 33)], ids=str)
def test_every_size(tmp_path, kind, suffix, lossless, shape):
    path = tmp_path / f'a{suffix}'
    notes = write(path, kind, pictures(kind, 2, shape), lossless=lossless)
    with contextlib.closing(read_frames(path)) as frames:
        assert [(one.height, one.width) for one in frames] == [shape] * 2
    uneven = not lossless and kind != 'cutout' and suffix != '.webm' and shape != (2, 2)
    assert ['odd size' in note for note in notes] == [True] * uneven


def read_frames(path):
    import av

    with av.open(str(path)) as container:
        yield from container.decode(video=0)


@pytest.mark.parametrize(('kind', 'suffix', 'lossless'), ALL)
def test_pixels_that_are_not_square(tmp_path, kind, suffix, lossless):
    path = tmp_path / f'a{suffix}'
    format = a_format(SHAPE, pixel_aspect=Fraction(16, 11))
    notes = write(path, kind, pictures(kind, 2), format=format, lossless=lossless)
    if suffix == '.webm' or lossless or decoder(kind, suffix):
        assert notes == [
            'pixels 16/11 times as wide as high may be shown as squares; H.264 and .mov keep their '
            'shape'
        ]
    else:
        assert read(path).pixel_aspect == Fraction(16, 11)


def test_a_picture_may_be_shown_several_times_and_the_first_one_later(tmp_path):
    path = tmp_path / 'a.mp4'
    first, second = pictures('alpha', 2)
    moments = [Moment(Fraction(index, 25), None) for index in (5, 6, 7, 9)]
    with create_writer(path, 'alpha', a_format(SHAPE)) as writer:
        writer.write(first, tuple(moments[:3]))
        writer.write(second, tuple(moments[3:]))
        writer.finish()
    video = read(path)
    assert video.times == [moment.time for moment in moments]
    assert video.durations[-1] == Fraction(1, 25)  # the usual one where none is known
    values = grey(video, SHAPE)
    for index, picture in enumerate((first, first, first, second)):
        assert np.abs(values[index] - picture).mean() < 1


def test_seeking_needs_at_most_two_seconds(tmp_path):
    path = tmp_path / 'a.mp4'
    write(path, 'alpha', pictures('alpha', 1) * 120, steady(120))
    keys = np.flatnonzero(read(path).keys)
    assert np.diff([*keys, 120]).max() <= 50


REFUSED = [
    ('a.mp4', 'cutout', False, r'\.mp4 cannot hold the transparency of a cut-out; expected \.webm'),
    ('a.gif', 'alpha', False, r'expected \.mp4, \.mov, \.mkv, \.webm or a folder .* found \.gif'),
    ('a.MP5', 'composite', False, r'found \.mp5'),
    (
        'a.mp4',
        'alpha',
        True,
        r'\.mp4 cannot hold pictures without loss; expected \.mkv or a folder',
    ),
    ('a.avi', 'alpha', True, r'expected \.mkv or a folder'),
    ('file/a.mp4', 'alpha', False, 'found a file'),
    ('full', 'alpha', False, 'expected a new or an empty folder, found one with files'),
    ('pipe.mp4', 'alpha', False, 'expected a file or nothing, found a device or a pipe'),
    ('x' * 300 + '.mp4', 'alpha', False, 'File name too long'),
    ('file', 'alpha', False, 'expected a folder or nothing, found a file'),
    ('a.mp4', 'matte', False, "expected one of alpha, cutout, composite, got 'matte'"),
]


@pytest.mark.parametrize(('name', 'kind', 'lossless', 'message'), REFUSED, ids=str)
def test_what_cannot_be_written(tmp_path, name, kind, lossless, message):
    (tmp_path / 'file').touch()
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'photo.png').touch()
    os.mkfifo(tmp_path / 'pipe.mp4')
    before = sorted(tmp_path.rglob('*'))
    path = tmp_path / name
    with pytest.raises(MattingError, match=message):
        check_output(path, kind, lossless=lossless)
    with pytest.raises(MattingError, match=message):
        create_writer(path, kind, a_format(), lossless=lossless)
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('name', ['a.mp4', 'a.webm', 'a.mkv', 'new/a.mov', 'folder/'])
def test_without_finish_nothing_is_left(tmp_path, name):
    (tmp_path / 'a.mp4').write_text('older')
    check_output(f'{tmp_path}/{name}', 'alpha')
    with create_writer(f'{tmp_path}/{name}', 'alpha', a_format()) as writer:
        for picture, moment in zip(pictures('alpha'), steady(6), strict=True):
            writer.write(picture, (moment,))
    assert [one.name for one in tmp_path.rglob('*') if one.is_file()] == ['a.mp4']
    assert (tmp_path / 'a.mp4').read_text() == 'older'


def test_an_older_file_is_replaced(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_text('older')
    write(path, 'alpha', pictures('alpha'))
    assert len(read(path).pictures) == 6
    assert path.stat().st_mode & 0o600 == 0o600
    assert os.listdir(tmp_path) == ['a.mp4']


@pytest.mark.parametrize('name', ['a.mp4', 'a.webm', 'a.mkv', 'folder'])
def test_a_full_disk(tmp_path, name):
    """A limit on a file's size stands for it; the process is another, which the limit ends with.

    It is reached at the beginning, among the frames, and when they are flushed or closed.
    """
    code = """
import os, resource, signal, sys
import numpy as np
from mattingjax.errors import OutputError
from tests.inference.video.readback import write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = sys.argv[1]
rng = np.random.default_rng(0)
pictures = [rng.integers(0, 256, (240, 320), np.uint8) for _ in range(40)]
write(path, 'alpha', pictures)
size = max(one.stat().st_size for one in os.scandir(path)) if os.path.isdir(path) else 0
size = size or os.path.getsize(path)
os.system(f'rm -r {path}')
for share in (0, 0.3, 0.8, 0.97, 0.9999):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * share), resource.RLIM_INFINITY))
    try:
        write(path, 'alpha', pictures)
    except OutputError as error:
        print(error)
"""
    process = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = f'{tmp_path / name}: cannot be written (File too large)'
    assert process.stdout.splitlines() == [expected] * 5
    assert process.stderr == ''
    assert os.listdir(tmp_path) == []


def test_ffmpeg_says_nothing(tmp_path, capfd):
    for kind, suffix, lossless in ALL:
        source, track = sound('aac', 'mp4')
        with source:
            format = a_format(SHAPE, sound=(track,))
            write(tmp_path / f'a{suffix}', kind, pictures(kind), format=format, lossless=lossless)
    assert capfd.readouterr() == ('', '')


def test_without_av_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(
        OutputError, match=r'a.mp4: writing videos needs the package av: pip install'
    ):
        create_writer(tmp_path / 'a.mp4', 'alpha', a_format())
    assert os.listdir(tmp_path) == []
