"""Times `mattingjax bulk` on all cores against one process on one core.

  python scripts/benchmark_bulk.py --images PHOTOS
  python scripts/benchmark_bulk.py --images PHOTOS --checkpoint modnet_p --photos 4000 --rounds 5

In each round, in turn, one worker without Ray mattes some of the photos on one core, to which it is
bound, and a bulk run mattes --photos of them on all cores, in a process of its own. PHOTOS are
taken again and again if they are fewer. The steady rate is that after the first photos of the run
were done, when Ray and the workers had started. Figures are medians of the rounds. The last lines
are the ratio of the steady rate to that of one core times the cores, which should be 0.9 or more,
and what ten million photos cost.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.', required=True)
_CHECKPOINT = flags.DEFINE_string('checkpoint', 'mmnet', 'The weights.')
_OUTPUTS = flags.DEFINE_list('outputs', ['alpha'], 'Which pictures are made of each photo.')
_PHOTOS = flags.DEFINE_integer('photos', 2000, 'Photos of each bulk run.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Timed runs of each.', lower_bound=1)
_MANY = 10_000_000  # photos whose cost is told
_ONE = """
import json, os, sys, time
from mattingjax.inference.bulk.addresses import open_store
from mattingjax.inference.bulk.worker import Task, Worker
from mattingjax.inference.outputs import Outputs
import pyarrow as pa
if hasattr(os, 'sched_setaffinity'):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
source, target, checkpoint, kinds, count = sys.argv[1:]
task = Task(open_store(source), open_store(target), Outputs(tuple(kinds.split(','))),
            {'path_or_name': checkpoint})
worker = Worker(task)
names = sorted(os.listdir(source))[: int(count)]
photos = [{'path': name, 'results': name, 'size': 0, 'modified': 0} for name in names]
def matte(photos):
    worker(pa.table({'id': ['0'], 'photos': [json.dumps(photos)]}))
matte(photos[:8])
start = time.perf_counter()
matte(photos)
print(len(photos) / (time.perf_counter() - start))
"""
_ALL = """
import sys
from mattingjax.inference.bulk import matte_bulk
from mattingjax.inference.outputs import Outputs
source, target, checkpoint, kinds = sys.argv[1:]
summary = matte_bulk(source, target, Outputs(tuple(kinds.split(','))),
                     network={'path_or_name': checkpoint}, own_process=True)
print(summary.steady_rate, summary.rate, summary.starting, summary.workers)
"""


def main() -> None:
    from mattingjax.process.scratch import scratch_folder

    one, runs = [], []
    with scratch_folder() as folder:
        _link_photos(folder / 'in')
        share = max(8, _PHOTOS.value // (os.cpu_count() or 1))
        for i in range(_ROUNDS.value):
            one += _run(_ONE, folder, f'one{i}', str(share))
            runs.append(_run(_ALL, folder, f'all{i}'))
    steady, whole, starting, workers = map(statistics.median, zip(*runs, strict=True))
    single = statistics.median(one)
    print(f'one core                {single:8.2f} photos/s')
    print(f'{workers:3.0f} workers, steady     {steady:8.2f} photos/s')
    print(f'{workers:3.0f} workers, whole run  {whole:8.2f} photos/s, first after {starting:.1f} s')
    print(f'steady ÷ (cores × one core)  {steady / workers / single:.3f}')
    hourly = 3600 * steady / workers
    print(f'{hourly:,.0f} photos per core-hour; {_MANY:,} photos: {_MANY / hourly:,.0f} core-hours')


def _link_photos(folder: Path) -> None:
    """Fills a folder with as many photos as are asked for."""
    from mattingjax.errors import ImageError
    from mattingjax.images import find_images

    paths = find_images(Path(_IMAGES.value))
    if not paths:
        raise ImageError(f'{_IMAGES.value}: holds no picture')
    folder.mkdir()
    for i in range(_PHOTOS.value):
        path = paths[i % len(paths)]
        (folder / f'{i:07}{path.suffix}').symlink_to(path.resolve())


def _run(code: str, folder: Path, target: str, *more: str) -> list[float]:
    """The numbers that a program prints, which mattes the photos in a process of its own."""
    words = [folder / 'in', folder / target, _CHECKPOINT.value, ','.join(_OUTPUTS.value), *more]
    done = subprocess.run(
        [sys.executable, '-c', code, *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [float(word) for word in done.stdout.split()]


if __name__ == '__main__':
    command_line.run()
