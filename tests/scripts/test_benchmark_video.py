import re
import sys

import pytest

from tests.conftest import assert_one_line_error
from tests.inference.video.clips import Clip


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('clips') / 'clip.mp4'
    Clip(times=range(5)).write(path)
    return path


def test_speed_and_kinds(run_script, clip):
    process = run_script(
        'benchmark_video', '--video', clip, '--checkpoint=mmnet_0.5', '--frames=12',
        '--frame_size=64x48', '--rounds=1', '--runtimes=onnxruntime', '--cases=speed,kinds',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    lines = process.stdout.decode().splitlines()
    assert lines[0] == 'onnxruntime on CPU, 12 frames'
    speed = [re.match(r'  (.+?) +([\d.]+) ms/frame +[\d.]+ frames/s +([\d.]+)$', x) for x in lines]
    names = [found[1] for found in speed if found]
    assert names[0] == 'video'
    assert set(names[1:]) >= {'network alone, 1 at once'}
    assert 'decode' in lines[len(names) + 1]
    kinds = [re.match(r'  (.+?) +[\d.]+ ms/frame +([\d.]+) +([\d.]+) kB/frame', x) for x in lines]
    sizes = {found[1]: float(found[3]) for found in kinds if found}
    assert list(sizes)[:2] == ['alpha, FFV1', 'alpha, H.264']
    assert len(sizes) == 7
    assert min(sizes.values()) > 0


@pytest.mark.skipif(sys.platform != 'linux', reason='read from /proc')
def test_memory(run_script, clip):
    process = run_script(
        'benchmark_video', '--video', clip, '--checkpoint=mmnet_0.5', '--frames=12',
        '--frame_size=64x48', '--rounds=1', '--runtimes=onnxruntime', '--cases=memory',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    first, last, ratio = process.stdout.decode().splitlines()
    peaks = [float(re.search(r'([\d.]+) MB$', line)[1]) for line in (first, last)]
    assert '   4 frames' in first
    assert '  40 frames' in last
    assert 50 < peaks[0] < 2000
    assert float(ratio.split()[-1]) == pytest.approx(peaks[1] / peaks[0], abs=2e-3)


def test_unknown_cases_are_told(run_script, clip):
    process = run_script('benchmark_video', '--video', clip, '--cases=slow')
    assert_one_line_error(process, '--cases: expected some of speed, kinds, memory, got slow')
