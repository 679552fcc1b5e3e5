import io
import itertools
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from mattingjax.errors import VideoError
from mattingjax.inference.video.frames import ArrayPicture, Frame, Moment
from mattingjax.inference.video.picture_folders import PictureFolder
from mattingjax.inference.video.sources import open_source, parse_rate, parse_seconds, until

BLANK = ArrayPicture(np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize(
    ('text', 'seconds'),
    [
        (1.5, Fraction(3, 2)),
        ('.25', Fraction(1, 4)),
        ('90', 90),
        ('1:30', 90),
        ('1:00:00.040', 3600 + Fraction(1, 25)),
        (None, None),
    ],
)
def test_times(text, seconds):
    assert parse_seconds(text, 'start') == seconds


@pytest.mark.parametrize(
    'text',
    [
        '',
        '-1',
        '1:2:3:4',
        'soon',
        'nan',
        '1e9',
        '99999999',
        '1:',
        '٣',
        'x' * 5000,
        '9' * 5000,
        '0.' + '9' * 5000,
        f'1:{5000 * "0"}1',
    ],
)
def test_what_is_no_time_is_told(text):
    with pytest.raises(VideoError, match=r'start: expected seconds, or HOURS:MINUTES:SECONDS, got'):
        parse_seconds(text, 'start')


@pytest.mark.parametrize(
    ('text', 'rate'),
    [('25', 25), (29.97, Fraction(2997, 100)), ('30000/1001', Fraction(30000, 1001)), (None, None)],
)
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    'text',
    [
        '',
        '0',
        '-5',
        '1001',
        '1/0',
        'fast',
        float('nan'),
        'inf',
        '1e-999999999',
        '1888884e88888888888888',
        '9' * 5000,
        '1/' + '9' * 5000,
        f'1e{5000 * "0"}1',
    ],
)
def test_what_is_no_rate_is_told(text):
    with pytest.raises(VideoError, match=r'fps: expected more than 0 and at most 1000 frames'):
        parse_rate(text)


def test_a_duration_counts_from_the_first_frame():
    frames = [
        Frame(BLANK, (Moment(Fraction(5), None),)),
        Frame(BLANK, (Moment(Fraction(6), None), Moment(Fraction(7), None))),
        Frame(BLANK, (Moment(Fraction(8), None),)),
    ]
    assert list(until(frames, None)) == frames
    taken = list(until(iter(frames), Fraction(2)))
    assert [[moment.time for moment in frame.moments] for frame in taken] == [[5], [6]]
    assert len(list(until(frames, Fraction(3)))) == 2


@pytest.fixture
def pictures(tmp_path):
    """Pictures 2, 10 and 9, each of one grey, and a damaged 11."""
    for number in (2, 10, 9):
        Image.new('RGB', (40, 30), (number, number, number)).save(tmp_path / f'a{number}.png')
    (tmp_path / 'a11.png').write_bytes(b'torn')
    return tmp_path


def test_a_folder_of_pictures_is_a_video_in_the_order_of_its_numbers(pictures):
    with open_source(pictures, rate=Fraction(10)) as source:
        frames = list(source.frames())
    assert (source.shape, source.rate, source.count) == ((30, 40), 10, 4)
    greys = [int(frame.picture.pixels()[0, 0, 0]) for frame in frames]
    assert greys == [2, 9, 10]
    times = [[moment.time for moment in frame.moments] for frame in frames]
    assert times == [[0], [Fraction(1, 10)], [Fraction(2, 10), Fraction(3, 10)]]
    assert source.repeated == 1


def test_a_folder_may_begin_later_and_with_a_damaged_picture(pictures):
    (pictures / 'a1.png').write_bytes(b'torn')
    with PictureFolder(pictures, Fraction(1)) as source:
        first = next(source.frames())
    assert [moment.time for moment in first.moments] == [0, 1]
    with PictureFolder(pictures, Fraction(1), Fraction(3)) as source:
        (last,) = source.frames()
    assert last.picture.pixels()[0, 0, 0] == 10


def test_pictures_of_several_sizes_are_told(pictures):
    Image.new('RGB', (40, 31)).save(pictures / 'a3.png')
    with pytest.raises(VideoError, match=r'a3.png: expected 40x30, as the first .* got 40x31'):
        list(PictureFolder(pictures, Fraction(25)).frames())


def test_a_folder_may_say_when_its_pictures_are_shown(pictures):
    (pictures / 'timestamps.txt').write_text('# timestamp format v2\n0\n100\n133.333333\n500\n')
    times = [Fraction(0), Fraction(1, 10), Fraction(2, 15), Fraction(1, 2)]
    with open_source(pictures) as source:
        moments = [moment for frame in source.frames() for moment in frame.moments]
    assert [moment.time for moment in moments] == times
    assert [moment.duration for moment in moments[:3]] == [
        after - before for before, after in itertools.pairwise(times)
    ]
    with open_source(pictures, start=Fraction(1, 10)) as source:
        moments = [moment for frame in source.frames() for moment in frame.moments]
    assert [moment.time for moment in moments] == [time - times[1] for time in times[1:]]
    with open_source(pictures, rate=Fraction(10)) as source:  # asked for
        assert source.time_base == Fraction(1, 10)


BAD_LINES = ('x', '0', '-1', '1/0', 'nan', '1e99', '1e999999999', '9' * 5000)


@pytest.mark.parametrize(
    'content',
    ['', '# timestamp format v1\n0\n']
    + [f'# timestamp format v2\n0\n{line}\n3\n4' for line in BAD_LINES],
)
def test_times_that_cannot_be_read_are_told(pictures, content):
    (pictures / 'timestamps.txt').write_text(content)
    with pytest.raises(VideoError, match=r'timestamps.txt: cannot be read as times of pictures'):
        open_source(pictures)


def test_times_of_other_pictures_are_left_out_with_a_note(pictures):
    (pictures / 'timestamps.txt').write_text('# timestamp format v2\n0\n1\n')
    with open_source(pictures) as source:
        assert source.time_base == Fraction(1, 25)
    assert 'has 2 times for 4 pictures' in source.notes[0]


def test_folders_without_a_picture_are_told(tmp_path):
    with pytest.raises(VideoError, match=r'expected pictures, found none$'):
        open_source(tmp_path)
    (tmp_path / 'clip.mp4').touch()
    with pytest.raises(VideoError, match=r'found none, only 1 \.mp4'):
        open_source(tmp_path)
    (tmp_path / '1.png').write_bytes(b'torn')
    with pytest.raises(VideoError, match='expected pictures, found 1, none of which can be read'):
        open_source(tmp_path)
    Image.effect_noise((40, 30), 99).save(tmp_path / '1.png')
    with open(tmp_path / '1.png', 'r+b') as file:
        file.truncate(100)
    with pytest.raises(VideoError, match='none of its 1 pictures can be read'):
        list(open_source(tmp_path).frames())


def test_arguments_without_use_are_told(pictures):
    with pytest.raises(VideoError, match=r'size: expected none, as .* has its own, got 4x4'):
        open_source(pictures / 'a.mp4', size='4x4')
    with pytest.raises(VideoError, match='start: expected none for raw frames, got 2'):
        open_source(io.BytesIO(b'0'), size='4x4', start=Fraction(2))
    with pytest.raises(VideoError, match='start: expected none for a camera, got 2'):
        open_source('camera:0', start=Fraction(2))
