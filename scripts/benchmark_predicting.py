"""Times `mattingjax predict` from a cold start: one photo, a large one, a folder of many shapes.

  python scripts/benchmark_predicting.py --images PHOTOS
  python scripts/benchmark_predicting.py --images PHOTOS --runtimes onnxruntime,jax --rounds 1

Of PHOTOS as many are taken as --photos says, each resized to a shape of its own, with sides from
200 to 1,600 pixels; one is enlarged to 12 megapixels. Each figure is the median of whole processes,
run in turn, in seconds of the clock and of the processors. `folder, network` is the network of the
first runtime alone, on the photos of the folder as it sees them, in a process that has it loaded;
`network` is that of each runtime on one photo: at first, and when the same size has come a hundred
times, at which OpenVINO has compiled it for that size. With
--peer, a Python statement such as 'import rembg', a process that runs it is timed beside them.
JAX keeps nothing that it compiles, as in the first run on a machine.
"""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.', required=True)
_CHECKPOINT = flags.DEFINE_string('checkpoint', 'modnet_p', 'The weights.')
_PHOTOS = flags.DEFINE_integer('photos', 40, 'Number of photos in the folder.', lower_bound=1)
_RUNTIMES = flags.DEFINE_list('runtimes', ['onnxruntime', 'openvino'], 'The runtimes to time.')
_KNOWN_CASES = ('photo', 'large', 'folder', 'network')
_CASES = flags.DEFINE_list('cases', list(_KNOWN_CASES), 'Some of these four.')
_PEER = flags.DEFINE_string('peer', None, 'A Python statement to time beside them.')
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Timed runs of each.', lower_bound=1)
_SIDES = 200, 1600  # pixels
_LARGE = 3000, 4000


def main() -> None:
    from mattingjax.inference.runtimes import RUNTIMES
    from mattingjax.process.scratch import scratch_folder

    command_line.check_some('runtimes', _RUNTIMES.value, RUNTIMES)
    command_line.check_some('cases', _CASES.value, _KNOWN_CASES)
    with scratch_folder() as folder:
        _write_photos(folder)
        runs: dict[str, Callable[[], tuple[float, float]]] = {}
        if _PEER.value:
            runs[_PEER.value] = lambda: _time_process([sys.executable, '-c', _PEER.value])
        for case in [case for case in _CASES.value if case != 'network']:
            for runtime in _RUNTIMES.value:
                for outputs in ('alpha', 'all'):
                    name = f'{case}, {outputs}, {runtime}'
                    runs[name] = _predict(folder, case, runtime, outputs)
        if 'folder' in _CASES.value:
            runs['folder, network'] = _run_network(folder / 'folder')
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(_ROUNDS.value):
            for name, run in runs.items():
                times[name].append(run())
        if 'network' in _CASES.value:
            times |= _time_one_size(folder / 'photo')
    print(f'{"":32}{"clock":>10}{"processors":>12}')
    for name, measured in times.items():
        clock, processors = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f'{name:32}{clock:9.3f}s{processors:11.3f}s')


def _write_photos(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    from mattingjax.errors import ImageError
    from mattingjax.images import find_images, load_image

    paths = find_images(Path(_IMAGES.value))
    if not paths:
        raise ImageError(f'{_IMAGES.value}: holds no picture')
    rng = np.random.default_rng(0)
    for name in ('photo', 'large', 'folder'):
        (folder / name).mkdir()
    for i in range(_PHOTOS.value):
        photo = Image.fromarray(load_image(paths[i % len(paths)]))
        width, height = (int(side) for side in rng.integers(*_SIDES, 2, endpoint=True))
        photo.resize((width, height)).save(folder / 'folder' / f'{i:04}.jpg', quality=92)
    first = Image.fromarray(load_image(paths[0]))
    first.save(folder / 'photo' / 'photo.jpg', quality=92)
    first.resize(_LARGE, Image.Resampling.BICUBIC).save(folder / 'large' / 'large.jpg', quality=92)


def _predict(
    folder: Path, case: str, runtime: str, outputs: str
) -> Callable[[], tuple[float, float]]:
    """A run of the command in a process of its own."""
    kinds = ['--outputs=alpha'] if outputs == 'alpha' else ['--background=#00b140']
    (source, *_) = [folder / case] if case == 'folder' else sorted((folder / case).iterdir())
    command = [
        sys.executable, '-m', 'mattingjax', 'predict', str(source), f'--output={folder / "out"}',
        f'--checkpoint={_CHECKPOINT.value}', f'--runtime={runtime}', *kinds,
    ]  # fmt: skip
    if runtime == 'jax':
        command.append('--compilation_cache=')
    return lambda: _time_process(command)


def _time_process(command: list[str]) -> tuple[float, float]:
    with _timing() as seconds:
        subprocess.run(command, check=True, capture_output=True)
    return seconds[0], seconds[1]


@contextlib.contextmanager
def _timing() -> Iterator[list[float]]:
    """Seconds of the clock and of the processors that child processes take within it."""
    import resource  # which Windows lacks

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    seconds: list[float] = []
    clock, processors = time.perf_counter(), used()
    yield seconds
    seconds += [time.perf_counter() - clock, used() - processors]


def _network_inputs(runtime, folder: Path) -> list:
    """The photos of a folder as the network sees them."""
    from mattingjax.images import find_images, load_image
    from mattingjax.images.preprocessing import network_size, resize_photo

    inputs = []
    for path in find_images(folder):
        image = load_image(path)
        size = network_size(*image.shape[:2], runtime.input_size, runtime.preprocessing)
        inputs.append(resize_photo(image, *size)[None])
    return inputs


def _run_network(folder: Path) -> Callable[[], tuple[float, float]]:
    """A run of the network alone, on photos that are decoded and resized already."""
    from mattingjax.inference.runtimes import create_runtime

    runtime = create_runtime(_CHECKPOINT.value, _RUNTIMES.value[0])
    inputs = _network_inputs(runtime, folder)
    runtime(inputs[0])

    def run() -> tuple[float, float]:
        clock, processors = time.perf_counter(), time.process_time()
        for pixels in inputs:
            runtime(pixels)
        return time.perf_counter() - clock, time.process_time() - processors

    return run


def _time_one_size(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """The network on one photo, at first and when it came a hundred times."""
    from mattingjax.inference.runtimes import create_runtime

    times: dict[str, list[tuple[float, float]]] = {}
    runs = {}
    for name in _RUNTIMES.value:
        runtime = create_runtime(_CHECKPOINT.value, name)
        (pixels,) = _network_inputs(runtime, folder)
        runs[name] = lambda runtime=runtime, pixels=pixels: runtime(pixels)
    for when, untimed in (('first', 2), ('after 100', 100)):
        for run in runs.values():
            for _ in range(untimed):
                run()
        time.sleep(2)  # in which OpenVINO compiles
        for _ in range(20):  # in turn, so that other work of the machine slows all alike
            for name, run in runs.items():
                clock, processors = time.perf_counter(), time.process_time()
                run()
                measured = time.perf_counter() - clock, time.process_time() - processors
                times.setdefault(f'network, {when}, {name}', []).append(measured)
    return times


if __name__ == '__main__':
    command_line.run()
