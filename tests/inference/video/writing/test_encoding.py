import contextlib
import itertools
from fractions import Fraction

import numpy as np
import pytest

from mattingjax.inference.video.frames import Moment
from mattingjax.inference.video.writing import create_writer
from tests.inference.video.writing.readback import (
    ALL,
    MILLISECOND,
    SHAPE,
    a_format,
    decoder,
    grey,
    pictures,
    read,
    steady,
    write,
)

pytest.importorskip('av')

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
        (note,) = notes
        assert note.startswith('pixels are 1.45 times as wide as high, which the file cannot')
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
