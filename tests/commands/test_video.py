"""`mattingjax video`; tests/inference/video has what it calls."""

import re
import resource
import signal
import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.conftest import ROOT, assert_one_line_error
from tests.forked import run_script
from tests.inference.video.clips import Clip, packets_of
from tests.waiting import wait_until

NETWORK = '--checkpoint=mmnet_0.5'


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Clips of ten frames, and files that are none."""
    folder = tmp_path_factory.mktemp('clips')
    Clip(sound='aac').write(folder / 'clip.mp4')
    Clip(times=range(40)).write(folder / 'index_last.mp4')
    Clip(times=range(50), codec='ffv1', pixels='bgr0').write(folder / 'long.mkv')
    for name, source, keep in (
        ('no_index.mp4', 'index_last.mp4', 0.5),
        ('cut.mkv', 'long.mkv', 0.6),
        ('header.mkv', 'long.mkv', 0.01),
    ):
        content = (folder / source).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])
    with av.open(str(folder / 'sound.mp4'), 'w') as container:
        stream = container.add_stream('aac', 48000)
        for packet in Clip().encode_sound(stream):
            container.mux(packet)
    content = (folder / 'long.mkv').read_bytes()
    (folder / 'codec.mkv').write_bytes(content.replace(b'V_FFV1', b'V_NONE'))
    (folder / 'text.mp4').write_text('no video')
    (folder / 'empty.mp4').touch()
    return folder


@pytest.fixture
def video(clips):
    def run(*words, **options):
        return run_script('mattingjax', 'video', *words, NETWORK, cwd=clips, **options)

    return run


def test_a_clip(video, tmp_path):
    process = video('clip.mp4', '--output', tmp_path / 'out.mov')
    assert process.returncode == 0, process.stderr.decode()
    assert process.stdout.decode() == f'{tmp_path / "out.mov"}\n'
    last = process.stderr.decode().splitlines()[-1]
    assert last.startswith('10 frames in ')
    assert re.search('by mmnet_0.5 with (onnxruntime|openvino) on CPU$', last)
    assert len(packets_of(tmp_path / 'out.mov', 'video')) == 10


def test_flags_reach_the_library(video, tmp_path):
    process = video(
        '--input', 'clip.mp4', '--output', tmp_path / 'out.mkv', '--kind=alpha', '--lossless',
        '--nosound', '--start=0:00.08', '--duration=0.2', '--fps=50', '--noofd', '--smoothing=0.5',
        '--refine', '--runtime=onnxruntime', '--input_size=144',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    with av.open(str(tmp_path / 'out.mkv')) as container:
        assert not container.streams.audio
        assert container.streams.video[0].codec_context.name == 'ffv1'
    times = [packet.pts for packet in packets_of(tmp_path / 'out.mkv', 'video')]
    assert times == [20 * index for index in range(10)]


def test_composites_on_what_is_asked_for(video, tmp_path):
    for background in ('#00b140', 'blur:2', 'clip.mp4'):
        process = video('clip.mp4', '--output', tmp_path / 'out.mp4', '--background', background)
        assert process.returncode == 0, process.stderr.decode()
        assert len(packets_of(tmp_path / 'out.mp4', 'video')) == 10


def test_raw_frames_in_and_out(video):
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), dtype=np.uint8)
    process = video(
        '-', '--size=48x32', '--fps=30', '--output=-', '--kind=alpha', stdin=frames.tobytes()
    )
    assert process.returncode == 0, process.stderr.decode()
    assert len(process.stdout) == 3 * 32 * 48
    assert b'note: standard output: rawvideo, gray, 48x32, 30 frames/s' in process.stderr


def test_a_video_on_standard_input(video, clips, tmp_path):
    content = (clips / 'long.mkv').read_bytes()
    process = video('-', '--output', tmp_path / 'out', '--duration=0.2', stdin=content)
    assert process.returncode == 0, process.stderr.decode()
    assert len(list((tmp_path / 'out').glob('*.png'))) == 5


@pytest.mark.parametrize(
    ('words', 'parts'),
    [
        ([], ['expected one video, folder, camera or -, got none']),
        (['clip.mp4', 'long.mkv'], ['got clip.mp4, long.mkv']),
        (['clip.mp4', '--output=OUT.wbem'], ['.wbem (did you mean .webm?)']),
        (['none.mp4'], ['none.mp4: no such file or folder']),
        (['text.mp4'], ['text.mp4: ']),
        (['empty.mp4'], ['empty.mp4: ']),
        (['no_index.mp4'], ['no_index.mp4: ']),
        (['header.mkv'], ['header.mkv: ']),
        (['sound.mp4'], ['sound.mp4: ', 'no video', 'aac']),
        (['codec.mkv'], ['codec.mkv: ', 'codec']),
        (['camera:97'], ['camera:97: no such camera here']),
        (['camera:x'], ['camera:x: expected camera:NUMBER']),
        (['clip.mp4', '--output=OUT.mp4'], ['OUT.mp4: .mp4 cannot hold the transparency']),
        (['clip.mp4', '--output=OUT.gif'], ['.gif']),
        (['clip.mp4', '--output='], ['--output: expected a file, a folder or -']),
        (['clip.mp4', '--lossless'], ['.mov cannot hold pictures without loss']),
        (['clip.mp4', '--kind=composite'], ['--kind, --background: a composite needs']),
        (['clip.mp4', '--fps=0'], ['--fps: expected more than 0']),
        (['clip.mp4', '--start=x'], ['--start: expected seconds']),
        (['clip.mp4', '--start=9'], ['--start: expected at most']),
        (['clip.mp4', '--size=4x4'], ['--size: expected none']),
        (['clip.mp4', '--smoothing=1'], ['--smoothing: expected a number']),
        (['clip.mp4', '--background=octarine'], ['octarine: neither']),
        (['clip.mp4', '--kinds=alpha'], ['unknown flag --kinds', 'did you mean --kind?']),
        (['clip.mp4', '--background=clip.mp4', '--output=clip.mp4'], ['another name']),
        (['clip.mp4', '--pixel_format=rgb24'], ['--pixel_format: expected none']),
        (['-', '--size=40x'], ['--size: expected WIDTHxHEIGHT']),
        (['-', '--size=40x40'], ['standard input: ']),
        (['-'], ['standard input: ']),
    ],
)
def test_bad_input_is_one_line(video, tmp_path, words, parts):
    words = [word.replace('OUT', str(tmp_path / 'OUT')) for word in words]
    if not any(word.startswith('--output') for word in words):
        words.append(f'--output={tmp_path / "out.mov"}')
    assert_one_line_error(video(*words), *parts)
    assert not list(tmp_path.iterdir())


def test_without_output_there_must_be_a_window(video):
    assert_one_line_error(video('clip.mp4'), '--output: a value is required')


def test_without_a_screen_there_is_no_window(video, monkeypatch):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    assert_one_line_error(video('clip.mp4', '--show'), 'window: ')


def test_what_a_truncated_clip_has_is_matted_and_the_status_is_2(video, tmp_path):
    process = video('cut.mkv', '--output', tmp_path / 'out.mov')
    assert process.returncode == 2
    error = process.stderr.decode().splitlines()[-1]
    assert error.startswith('error: cut.mkv: ends after 1.')
    assert error.endswith('of 2.0 s; the result has what was there')
    assert 20 < len(packets_of(tmp_path / 'out.mov', 'video')) < 40


def test_a_full_disk(clips, tmp_path):
    """As much as a file may hold: the result is gone, and the error is one line."""
    command = [
        sys.executable, '-m', 'mattingjax', 'video', clips / 'long.mkv', NETWORK,
        '--output', tmp_path / 'out.mkv', '--kind=alpha', '--lossless',
    ]  # fmt: skip
    process = subprocess.run(
        command, cwd=ROOT, capture_output=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)),
    )  # fmt: skip
    assert_one_line_error(process, 'out.mkv: cannot be written (File too large)')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_result_properly(tmp_path, number, status):
    command = [
        sys.executable, '-m', 'mattingjax', 'video', '-', '--size=64x48', NETWORK,
        '--output', tmp_path / 'out.mp4', '--kind=alpha',
    ]  # fmt: skip
    frame = bytes(64 * 48 * 3)
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for _ in range(100):
        process.stdin.write(frame)
    process.stdin.flush()
    wait_until(lambda: list(tmp_path.iterdir()) or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
    time.sleep(3)  # in which some frames are matted; more are asked for, and none come
    process.send_signal(number)
    assert process.wait(30) == status
    said = process.stderr.read().decode().splitlines()
    assert any(line.startswith('stopping: what is matted is written') for line in said)
    assert said[-1] == 'stopped early; the result is whole up to there'
    assert [path.name for path in tmp_path.iterdir()] == ['out.mp4']
    times = [packet.pts * packet.time_base for packet in packets_of(tmp_path / 'out.mp4', 'video')]
    assert times == [Fraction(index, 25) for index in range(len(times))]
    assert 0 < len(times) <= 100


def test_the_help_tells_the_formats(video):
    process = video('--help')
    assert process.returncode == 0
    for word in ('camera:0', '--kind', 'blur', '.webm', 'ofd'):
        assert word in process.stdout.decode()
