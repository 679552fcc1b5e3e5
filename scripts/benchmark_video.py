"""Times `mattingjax video` against the network alone, stage by stage, and measures its memory.

  python scripts/benchmark_video.py --video CLIP
  python scripts/benchmark_video.py --video CLIP --cases kinds --runtimes openvino

CLIP is played forth and back until there are --frames frames, resized to --frame_size and encoded
as H.264. `speed` mattes them into a lossless alpha video, in turn with the network alone on inputs
that are ready: as the video has it (two threads, a core each), and one input after the other on all
cores. Each figure is the median of --rounds runs. `kinds` does one run for each kind of result.
`memory` (on Linux) is the peak of whole processes of `mattingjax video` with the first runtime, on
a third of the frames and on ten times that; MB are 10^6 bytes.
"""

import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_VIDEO = flags.DEFINE_string('video', None, 'The clip.', required=True)
_FRAMES = flags.DEFINE_integer('frames', 300, 'Number of frames.', lower_bound=10)
_FRAME_SIZE = flags.DEFINE_string('frame_size', '1280x720', 'Size of the frames, WIDTHxHEIGHT.')
_CHECKPOINT = flags.DEFINE_string('checkpoint', 'modnet_p', 'The weights.')
_INPUT_SIZE = command_line.define_input_size()
_RUNTIMES = flags.DEFINE_list('runtimes', ['onnxruntime', 'openvino'], 'The runtimes to time.')
_KNOWN_CASES = ('speed', 'kinds', 'memory')
_CASES = flags.DEFINE_list('cases', list(_KNOWN_CASES), 'Some of these three.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Timed runs of each.', lower_bound=1)
_RATE = 30  # frames per second
_INPUTS = 16  # that the network alone has in turn
# A process of the command, which says in the end how many kilobytes it had at most. What the system
# says of a process that has ended counts what its parent had when it started it.
_TELLING_ITS_PEAK = """
import re
from pathlib import Path
from mattingjax.commands import main
try:
    main()
finally:
    print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])
"""
# Name, suffix and arguments of `matte_video`.
_KINDS = {
    'alpha, FFV1': ('.mkv', {'kind': 'alpha', 'lossless': True}),
    'alpha, H.264': ('.mp4', {'kind': 'alpha'}),
    'cut-out, VP9': ('.webm', {'kind': 'cutout'}),
    'cut-out, ProRes 4444': ('.mov', {'kind': 'cutout'}),
    'composite on a colour, H.264': ('.mp4', {'background': '#00b140'}),
    'the same, own colours': ('.mp4', {'background': '#00b140', 'foreground': False}),
    'composite on a blur, H.264': ('.mp4', {'background': 'blur'}),
}


def main() -> None:
    from mattingjax.inference import create_predictor
    from mattingjax.inference.runtimes import RUNTIMES
    from mattingjax.inference.video.matting import PARALLEL
    from mattingjax.process.memory import keep_freed_memory
    from mattingjax.process.scratch import scratch_folder

    command_line.check_some('runtimes', _RUNTIMES.value, RUNTIMES)
    command_line.check_some('cases', _CASES.value, _KNOWN_CASES)
    keep_freed_memory()  # as the command does
    with scratch_folder() as folder:
        clip = folder / 'clip.mp4'
        _write_clip(clip, _FRAMES.value)
        for runtime in _RUNTIMES.value if {'speed', 'kinds'}.intersection(_CASES.value) else ():
            predictors = {
                parallel: create_predictor(
                    _CHECKPOINT.value, runtime, input_size=_INPUT_SIZE.value, parallel=parallel
                )
                for parallel in {1, PARALLEL}
            }
            print(f'{predictors[1].describe_runtime()}, {_FRAMES.value} frames')
            if 'speed' in _CASES.value:
                _time_speed(clip, predictors)
            if 'kinds' in _CASES.value:
                _time_kinds(clip, predictors[PARALLEL])
        if 'memory' in _CASES.value:
            _measure_memory(folder)


def _write_clip(path: Path, count: int) -> None:
    import av

    from mattingjax.inference.video.raw_frames import parse_frame_size

    height, width = parse_frame_size(_FRAME_SIZE.value, 'frame_size')
    with av.open(_VIDEO.value) as source:
        frames = [
            frame.reformat(width, height, 'yuv420p', interpolation='BICUBIC')
            for frame, _ in zip(source.decode(video=0), range(count), strict=False)
        ]
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    with av.open(path, 'w') as target:
        stream = target.add_stream('libx264', _RATE, options={'preset': 'veryfast', 'crf': '20'})
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'  # type: ignore[union-attr]
        for i in range(count):
            frame = frames[order[i % len(order)]]
            frame.pts, frame.time_base, frame.pict_type = i, Fraction(1, _RATE), 0
            target.mux(stream.encode(frame))  # type: ignore[union-attr]
        target.mux(stream.encode(None))  # type: ignore[union-attr]


def _time_speed(clip: Path, predictors: dict[int, object]) -> None:
    """Prints the times per frame, and what share of the network's speed is reached."""
    from mattingjax.process.timing import time_in_turn

    summaries: list = []

    def matte() -> None:
        summaries.append(
            _matte(clip, predictors[max(predictors)], '.mkv', _KINDS['alpha, FFV1'][1])
        )

    inputs = _network_inputs(clip, predictors[1])
    runs: dict[str, Callable[[], None]] = {'video': matte}
    for parallel, predictor in predictors.items():
        runs[f'network alone, {parallel} at once'] = _run_network(predictor, inputs)
    medians = time_in_turn(runs, _ROUNDS.value)
    for name, seconds in medians.items():
        print(
            f'  {name:28}{seconds / _FRAMES.value * 1000:8.1f} ms/frame'
            f'{_FRAMES.value / seconds:8.1f} frames/s{seconds / medians["video"]:8.2f}'
        )
    stages = summaries[-1].stages.seconds
    shares = ', '.join(
        f'{name} {seconds / _FRAMES.value * 1000:.1f}' for name, seconds in stages.items()
    )
    print(f'  stages of the last run, ms/frame, threads side by side: {shares}')


def _network_inputs(clip: Path, predictor) -> list:
    """The first frames as the network sees them."""
    from mattingjax.inference.video.reading import open_video

    with open_video(clip) as source:
        size = predictor.network_size(*source.shape)
        frames = zip(source.frames(), range(_INPUTS), strict=False)
        return [frame.picture.resized(*size) for frame, _ in frames]


def _run_network(predictor, inputs: list) -> Callable[[], None]:
    """A run of the network alone, on as many inputs as there are frames."""

    def run() -> None:
        with ThreadPoolExecutor(predictor.parallel) as pool:
            ready = (inputs[i % len(inputs)] for i in range(_FRAMES.value))
            for _ in pool.map(predictor.run, ready):
                pass

    predictor.run(inputs[0])
    return run


def _matte(clip: Path, predictor, suffix: str, arguments: dict):
    from mattingjax import matte_video

    return matte_video(clip, clip.with_name(f'result{suffix}'), predictor=predictor, **arguments)


def _time_kinds(clip: Path, predictor) -> None:
    """Prints for each kind its time, as a ratio to the first one's too, its size and its stages."""
    first = None
    for name, (suffix, arguments) in _KINDS.items():
        summary = _matte(clip, predictor, suffix, arguments)
        size = clip.with_name(f'result{suffix}').stat().st_size
        first = first or summary.seconds
        print(
            f'  {name:32}{summary.seconds / summary.frames * 1000:8.1f} ms/frame'
            f'{summary.seconds / first:8.2f}{size / summary.frames / 1000:10.1f} kB/frame  '
            f'{summary.stages.describe()}'
        )


def _measure_memory(folder: Path) -> None:
    counts = _FRAMES.value // 3, _FRAMES.value // 3 * 10
    peaks: dict[int, list[int]] = {count: [] for count in counts}
    for count in counts:
        _write_clip(folder / f'{count}.mp4', count)
    for _ in range(_ROUNDS.value):
        for count in counts:
            command = [
                sys.executable, '-c', _TELLING_ITS_PEAK, 'video', str(folder / f'{count}.mp4'),
                '--kind=alpha', '--lossless', f'--output={folder / "result.mkv"}',
                f'--checkpoint={_CHECKPOINT.value}', f'--runtime={_RUNTIMES.value[0]}',
            ]  # fmt: skip
            if _INPUT_SIZE.value is not None:
                command.append(f'--input_size={_INPUT_SIZE.value}')
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks[count].append(int(said.split()[-1]))
    medians = [statistics.median(found) for found in peaks.values()]
    for count, median in zip(counts, medians, strict=True):
        print(f'  peak memory of {count:5} frames {median / 1000:8.1f} MB')
    print(f'  ratio {medians[1] / medians[0]:.3f}')


if __name__ == '__main__':
    command_line.run()
