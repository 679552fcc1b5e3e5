"""Frames at a constant rate, compared with a search through all of them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mattingjax.errors import VideoError
from mattingjax.inference.video.frames import ArrayPicture, Frame, Moment
from mattingjax.inference.video.resampling import resample

PICTURE = ArrayPicture(np.zeros((2, 2, 3), np.uint8))


def frames_at(*times, last=None):
    """One frame a time, which lasts until the next."""
    ends = [*times[1:], None if last is None else times[-1] + last]
    return [
        Frame(
            ArrayPicture(np.full((1, 1, 3), index, np.uint8)),
            (Moment(Fraction(time), None if end is None else Fraction(end) - Fraction(time)),),
        )
        for index, (time, end) in enumerate(zip(times, ends, strict=True))
    ]


def shown(frames):
    """Index of the picture and time of every moment."""
    return [
        (int(frame.picture.pixels()[0, 0, 0]), moment.time)
        for frame in frames
        for moment in frame.moments
    ]


def test_what_has_the_rate_stays():
    frames = frames_at(*(Fraction(k, 25) for k in range(5)), last=Fraction(1, 25))
    assert list(resample(iter(frames), Fraction(25))) == frames


def test_a_lower_rate_leaves_frames_out():
    frames = frames_at(*(Fraction(k, 30) for k in range(8)), last=Fraction(1, 30))
    resampled = list(resample(iter(frames), Fraction(15)))
    assert shown(resampled) == [(2 * k, Fraction(k, 15)) for k in range(4)]


def test_a_higher_rate_shows_one_frame_several_times():
    frames = frames_at(0, Fraction(1, 10), last=Fraction(1, 5))
    first, second = resample(iter(frames), Fraction(20))
    assert first.moments == (
        Moment(Fraction(0), Fraction(1, 20)),
        Moment(Fraction(1, 20), Fraction(1, 20)),
    )
    assert [moment.time * 20 for moment in second.moments] == [2, 3, 4, 5]
    assert first.picture is frames[0].picture


def test_the_beginning_is_rounded_down():
    frames = frames_at(Fraction(13, 100), Fraction(21, 100), last=Fraction(1, 10))
    assert shown(resample(iter(frames), Fraction(10))) == [
        (0, Fraction(1, 10)),
        (0, Fraction(2, 10)),
        (1, Fraction(3, 10)),
    ]


def test_a_last_frame_of_unknown_duration_is_shown_once():
    assert shown(resample(iter(frames_at(0, 1)), Fraction(1))) == [(0, 0), (1, 1)]


def test_a_frame_that_stands_in_for_others_stays_until_the_next():
    moments = tuple(Moment(Fraction(k, 25), Fraction(1, 25)) for k in range(3))
    resampled = list(resample(iter([Frame(PICTURE, moments)]), Fraction(50)))
    assert [moment.time for moment in resampled[0].moments] == [Fraction(k, 50) for k in range(6)]


def test_nothing_stays_nothing():
    assert list(resample(iter([]), Fraction(25))) == []


def test_a_leap_in_a_broken_file_is_refused():
    with pytest.raises(VideoError, match='one frame would be shown 25000000000 times'):
        list(resample(iter(frames_at(0, 10**9)), Fraction(25)))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=20, unique=True).map(sorted),
    st.integers(1, 60),
    st.fractions(Fraction(1, 2), 60, max_denominator=1001),
)
def test_every_tick_shows_the_latest_frame(ticks, last, fps):
    times = [Fraction(tick, 100) for tick in ticks]
    frames = frames_at(*times, last=Fraction(last, 100))
    end = times[-1] + Fraction(last, 100)
    expected = []
    k = times[0] * fps // 1
    while k / fps < end:
        latest = [index for index, time in enumerate(times) if time <= k / fps]
        expected.append((latest[-1] if latest else 0, k / fps))
        k += 1
    resampled = list(resample(iter(frames), fps))
    assert shown(resampled) == expected
    assert all(moment.duration == 1 / fps for f in resampled for moment in f.moments)
    assert all(frame.moments for frame in resampled)
