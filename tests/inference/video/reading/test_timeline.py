"""Where the times of videos begin and end."""

import itertools
from fractions import Fraction

import pytest

from mattingjax.errors import VideoError
from mattingjax.inference.video.reading import open_video
from tests.inference.video.clips import Clip, packets_of
from tests.inference.video.reading.watching import B_FRAMES, long_clip, read, shown


@pytest.fixture(scope='module')
def long_mp4(tmp_path_factory):
    return long_clip(tmp_path_factory.mktemp('clips'))


@pytest.mark.parametrize('name', ['late.mp4', 'late.mkv'])
def test_sound_may_come_first(tmp_path, name):
    Clip(range(5, 15), sound='aac', seconds=Fraction(3, 5)).write(tmp_path / name)
    assert shown(tmp_path / name) == [(k, Fraction(k + 5, 25)) for k in range(10)]


def test_negative_times_are_shifted(tmp_path):
    options = {'avoid_negative_ts': 'disabled'}
    Clip(range(-3, 7), codec='mpeg4', container_options=options).write(tmp_path / 'negative.mkv')
    assert packets_of(tmp_path / 'negative.mkv', 'video')[0].pts == -120
    assert shown(tmp_path / 'negative.mkv') == [(k, Fraction(k, 25)) for k in range(10)]


def test_what_an_edit_list_hides_stays_hidden(tmp_path):
    Clip(range(-3, 7), codec='mpeg4').write(tmp_path / 'edited.mp4')
    times = [time for _, time in shown(tmp_path / 'edited.mp4')]
    assert times == [Fraction(k, 25) for k in range(len(times))]
    assert read(tmp_path / 'edited.mp4')[0].repeated == 0


def test_an_mpeg_stream_counts_from_its_beginning(tmp_path):
    Clip(
        sound='aac', sound_start=Fraction(2, 25), container_options={'output_ts_offset': '1000'}
    ).write(tmp_path / 'first.ts')
    first = packets_of(tmp_path / 'first.ts', 'video')[0].pts
    assert first >= 1000 * 90000
    video, moments = read(tmp_path / 'first.ts')
    assert [moment.time for _, moment in moments] == [Fraction(k, 25) for k in range(10)]
    sound = packets_of(tmp_path / 'first.ts', 'audio')
    (track,) = video.sound
    assert [p.pts for p in track.packets] == [p.pts - first for p in sound]
    assert [bytes(p) for p in track.packets] == [bytes(p) for p in sound]


def test_joined_mpeg_streams_go_on(tmp_path):
    Clip(sound='aac').write(tmp_path / 'part.ts')
    part = (tmp_path / 'part.ts').read_bytes()
    (tmp_path / 'joined.ts').write_bytes(part + part)
    moments = shown(tmp_path / 'joined.ts')
    assert [index for index, _ in moments] == [*range(10), *range(10)]
    gaps = [b - a for (_, a), (_, b) in itertools.pairwise(moments)]
    assert gaps[:9] == gaps[10:] == [Fraction(1, 25)] * 9
    assert Fraction(1, 25) <= gaps[9] < Fraction(1, 10)  # the sound lasts a little longer


@pytest.mark.parametrize('name', ['part.mp4', 'part.mkv', 'part.ts', 'part.h264'])
def test_start_and_duration(tmp_path, name):
    sound = None if name.endswith('h264') else 'aac'
    clip = Clip(range(60), options={**B_FRAMES, 'g': '10'}, sound=sound, seconds=Fraction(12, 5))
    clip.write(tmp_path / name)
    whole, moments = read(tmp_path / name)
    for start in (None, Fraction(2, 5), Fraction(1, 3), Fraction(123, 100), Fraction(23, 10)):
        for duration in (None, Fraction(1, 2)):
            offset = (start or 0) // whole.time_base * whole.time_base
            end = offset + (duration or 100)
            part, found = read(tmp_path / name, start=start, duration=duration)
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


def test_start_and_duration_are_checked(long_mp4):
    with pytest.raises(VideoError) as caught:
        open_video(long_mp4, start=Fraction(5, 2))
    assert str(caught.value) == f'start: expected at most 2.36 s in {long_mp4}, got 2.5'
    for options in ({'start': Fraction(-1)}, {'duration': Fraction(0)}):
        with pytest.raises(VideoError, match=r'expected seconds'):
            open_video(long_mp4, **options)
