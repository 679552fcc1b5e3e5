from collections import deque
from fractions import Fraction

import numpy as np
import pytest

from mattingjax.inference.video.frames import SoundTrack
from mattingjax.inference.video.writing import create_writer
from tests.inference.video.writing.readback import (
    MILLISECOND,
    a_format,
    alphas,
    read,
    sound,
    steady,
    write,
)

av = pytest.importorskip('av')

COPIED = [
    ('aac', 'mp4', ('.mp4', '.mov', '.mkv')),
    ('libopus', 'webm', ('.mp4', '.mkv', '.webm')),
    ('libmp3lame', 'matroska', ('.mp4', '.mov', '.mkv')),
    ('flac', 'matroska', ('.mp4', '.mkv')),
    ('pcm_s16le', 'mov', ('.mov', '.mkv')),
    ('ac3', 'matroska', ('.mp4', '.mov', '.mkv')),
]
ENCODED = [
    ('aac', 'mp4', '.webm', 'aac', 'opus'),
    ('libmp3lame', 'mp3', '.webm', 'mp3', 'opus'),
    ('pcm_s16le', 'wav', '.webm', 'pcm_s16le', 'opus'),
    ('pcm_s16le', 'wav', '.mp4', 'pcm_s16le', 'aac'),
    ('libopus', 'webm', '.mov', 'opus', 'aac'),
    ('adpcm_ms', 'wav', '.mkv', 'adpcm_ms', 'opus'),
]
COUNT = 15


def contents(packets):
    return [(bytes(one), one.pts * one.time_base, one.time_base) for one in packets]


def packets_of(path, index=0):
    with av.open(str(path)) as container:
        stream = container.streams.audio[index]
        return [one for one in container.demux(stream) if one.size], stream.language


def samples_of(path):
    """Times and samples of the first channel, without the padding of encoders."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        channels = frames[0].layout.nb_channels
        parts = [one.to_ndarray()[0][:: 1 if one.format.is_planar else channels] for one in frames]
        return float(frames[0].time), np.concatenate(parts).astype(float), frames[0].sample_rate


@pytest.mark.parametrize(
    ('codec', 'source', 'suffix'),
    [(codec, source, suffix) for codec, source, suffixes in COPIED for suffix in suffixes],
)
def test_sound_is_copied_bit_for_bit(tmp_path, codec, source, suffix):
    path = tmp_path / f'a{suffix}'
    opened, track = sound(codec, source, language='eng')
    with opened:
        before = contents(track.packets)
        format = a_format(sound=(track,))
        assert write(path, 'alpha', alphas(COUNT), format=format) == []
    after, language = packets_of(path)
    assert [one[0] for one in before] == [one[0] for one in contents(after)]
    for (_, wanted, _), (_, time, _) in zip(before, contents(after), strict=True):
        assert abs(wanted - time) <= (MILLISECOND / 2 if suffix in ('.mkv', '.webm') else 0)
    assert language == 'eng'
    assert read(path).times == [moment.time for moment in steady(COUNT)]


@pytest.mark.parametrize(('codec', 'source', 'suffix', 'name', 'encoder'), ENCODED)
def test_what_a_format_does_not_hold_is_encoded(tmp_path, codec, source, suffix, name, encoder):
    path = tmp_path / f'a{suffix}'
    opened, track = sound(codec, source, rate=48000 if codec == 'libopus' else 44100)
    with opened:
        notes = write(path, 'alpha', alphas(COUNT), format=a_format(sound=(track,)))
    assert notes == [f'sound: {name}, which {suffix} does not hold, was encoded as {encoder}']
    start, samples, rate = samples_of(path)
    assert abs(start) < 0.03
    assert 0.58 < len(samples) / rate < 0.66
    spectrum = np.abs(np.fft.rfft(samples[rate // 10 : rate // 2]))
    assert abs(spectrum.argmax() / 0.4 - 440) < 4  # the tone that was written, at its pitch
    assert read(path).times == [moment.time for moment in steady(COUNT)]


@pytest.mark.parametrize('suffix', ['.webm', '.mp4'])
def test_a_gap_stays_where_it_was(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    opened, track = sound('pcm_s16le', 'mov', seconds=1.0)
    with opened:
        kept = [one for one in track.packets if not 0.3 < one.pts * one.time_base < 0.7]
        track = SoundTrack(track.stream, deque(kept))
        write(path, 'alpha', alphas(25), format=a_format(sound=(track,)))
    _, samples, rate = samples_of(path)
    loud = np.abs(samples) > np.abs(samples).max() / 10
    assert loud[: rate // 4].any()
    assert not loud[int(rate * 0.36) : int(rate * 0.66)].any()
    assert loud[int(rate * 0.75) : int(rate * 0.95)].any()
    assert 0.98 < len(samples) / rate < 1.05


def test_all_tracks_with_their_languages_in_step(tmp_path):
    path = tmp_path / 'a.mkv'
    first, german = sound('aac', 'mp4', language='ger')
    second, english = sound('libopus', 'webm', language='eng')
    with first, second:
        write(path, 'alpha', alphas(COUNT), format=a_format(sound=(german, english)))
    assert [packets_of(path, index)[1] for index in (0, 1)] == ['ger', 'eng']
    with av.open(str(path)) as container:
        order = [
            (one.pts * one.time_base, one.stream.type) for one in container.demux() if one.size
        ]
    assert [one[0] for one in order] == sorted(one[0] for one in order)


def test_packets_come_while_it_is_written_and_none_is_left(tmp_path):
    path = tmp_path / 'a.mp4'
    opened, track = sound('aac', 'mp4')
    with opened:
        before = list(track.packets)
        track.packets.clear()
        coming = deque(before)
        with create_writer(path, 'alpha', a_format(sound=(track,))) as writer:
            for picture, moment in zip(alphas(COUNT), steady(COUNT), strict=True):
                while coming and coming[0].pts * coming[0].time_base <= moment.time + 0.1:
                    track.packets.append(coming.popleft())
                writer.write(picture, (moment,))
                assert all(one.pts * one.time_base > moment.time for one in track.packets)
            track.packets.extend(coming)
            writer.finish()
    assert not track.packets
    assert len(packets_of(path)[0]) == len(before)


def damaged(track):
    """Packets that are cut short, changed, without times, and with times far away."""
    rng = np.random.default_rng(0)
    packets = deque()
    for number, packet in enumerate(track.packets):
        content = bytearray(bytes(packet))
        if number % 3 == 0:
            content = content[: max(1, len(content) // 2)]
            content[rng.integers(len(content))] ^= 0xFF
        copy = av.Packet(bytes(content))
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        copy.stream = track.stream
        if number % 5 == 1:
            copy.pts = copy.dts = None
        if number % 5 == 2:
            copy.pts = copy.dts = int((-1) ** number * 10**11)
        packets.append(copy)
    return SoundTrack(track.stream, packets)


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.webm'])
@pytest.mark.parametrize(
    ('codec', 'source'), [('aac', 'mp4'), ('aac', 'mpegts'), ('libopus', 'webm'), ('ac3', 'mpegts')]
)
def test_damaged_sound_does_not_spoil_the_video(tmp_path, codec, source, suffix):
    path = tmp_path / f'a{suffix}'
    opened, track = sound(codec, source)
    with opened:
        write(path, 'alpha', alphas(COUNT), format=a_format(sound=(damaged(track),)))
    video = read(path)
    assert video.times == [moment.time for moment in steady(COUNT)]
    assert video.duration < 2


class Unknown:
    """A stream whose codec FFmpeg does not know."""

    type = 'audio'
    codec_context = None
    metadata: dict = {}  # noqa: RUF012


def test_an_unknown_track_is_left_out_and_its_packets_forgotten(tmp_path):
    path = tmp_path / 'a.mp4'
    packet = av.Packet(b'0')
    packet.pts, packet.time_base = 0, Fraction(1, 1000)
    track = SoundTrack(Unknown(), deque([packet] * 9))
    notes = write(path, 'alpha', alphas(COUNT), format=a_format(sound=(track,)))
    assert notes == ['sound: of an unknown kind was left out: it can neither be copied nor encoded']
    assert not track.packets
    assert len(read(path).pictures) == COUNT


def test_pictures_do_not_wait_for_sound_that_never_comes(tmp_path):
    """Or all of them would lie in memory."""
    path = tmp_path / 'a.mkv'
    opened, track = sound('aac', 'mp4')
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (240, 320), np.uint8) for _ in range(100)]
    with opened:
        track.packets.clear()
        format = a_format(noise[0].shape, sound=(track,))
        with create_writer(path, 'alpha', format, lossless=True) as writer:
            for picture, moment in zip(noise, steady(100), strict=True):
                writer.write(picture, (moment,))
            (scratch,) = tmp_path.iterdir()
            written = scratch.stat().st_size
            writer.finish()
    assert written > path.stat().st_size / 2
