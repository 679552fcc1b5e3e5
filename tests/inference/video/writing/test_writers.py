import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mattingjax.errors import MattingError, OutputError
from mattingjax.inference.video.writing import check_output, create_writer
from tests.inference.video.writing.readback import (
    ALL,
    SHAPE,
    a_format,
    decoder,
    grey,
    pictures,
    read,
    rgb,
    sound,
    steady,
    write,
)

pytest.importorskip('av')


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
from tests.inference.video.writing.readback import write
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
        ImportError, match=r'a.mp4: writing videos needs the package av: pip install'
    ):
        create_writer(tmp_path / 'a.mp4', 'alpha', a_format())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('name', ['out.mkv', 'out'])
def test_a_folder_that_vanishes_is_told(tmp_path, name):
    folder = tmp_path / 'new'

    def write_into_nothing():
        with create_writer(folder / name, 'alpha', a_format()) as writer:
            shutil.rmtree(folder)
            writer.write(np.zeros(SHAPE, np.uint8), tuple(steady(1)))
            writer.finish()

    with pytest.raises(OutputError, match=rf'{folder / name}: cannot be written \(No such file'):
        write_into_nothing()
    assert not folder.exists()
