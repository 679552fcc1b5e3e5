"""Times `mattingjax serve` under load against `mattingjax predict` on the same photos.

  python scripts/benchmark_serving.py --images PHOTOS

A server is started on a free port; so many requests are sent, so many at a time, after a warm-up of
as many. In turn with it, the folder command mattes as many photos in a process of its own; its time
is that of its summary, which leaves its start out. Photos are those of PHOTOS, again and again.
Latencies are those of clients in this process, on the same cores.
"""

import http.client
import re
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from absl import flags

from mattingjax.process import command_line

_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.', required=True)
_CHECKPOINT = flags.DEFINE_string('checkpoint', 'modnet_p', 'The weights.')
_RUNTIME = flags.DEFINE_string('runtime', None, 'Of both; default: what each has by itself.')
_KINDS = flags.DEFINE_list('kinds', ['alpha', 'cutout'], 'What is asked for: alpha, cutout.')
_REQUESTS = flags.DEFINE_integer('requests', 200, 'Requests of a round.', lower_bound=1)
_PARALLEL = flags.DEFINE_integer('parallel', 16, 'How many at a time.', lower_bound=1)
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Timed rounds of each.', lower_bound=1)


class _Round(NamedTuple):
    """What one round of requests gave.

    Attributes:
      seconds: Of the whole round.
      latencies: Of each request, in seconds.
      statuses: Status → how many answers had it.
      memory: Resident memory of the server after it, in bytes.
    """

    seconds: float
    latencies: list[float]
    statuses: Counter
    memory: int


def main() -> None:
    from mattingjax.process.interrupts import running
    from mattingjax.process.scratch import scratch_folder

    command_line.check_some('kinds', _KINDS.value, ('alpha', 'cutout'))
    photos = _read_photos()
    with scratch_folder() as folder:
        (folder / 'photos').mkdir()
        for i, photo in enumerate(photos):
            (folder / 'photos' / f'{i:04}').with_suffix('.jpg').write_bytes(photo)
        command = [
            sys.executable, '-m', 'mattingjax', 'serve', '--port=0', '--networks=',
            *_network_flags(),
        ]  # fmt: skip
        start = time.perf_counter()
        with running(command) as process:
            address = _read_address(process)
            status, _ = _ask(address, photos[0], 'alpha')
            assert status == 200, f'the first answer has the status {status}'
            print(f'start to first answer {time.perf_counter() - start:.2f} s')
            # The server waits where nobody reads what it says.
            with ThreadPoolExecutor(1) as reader:
                reader.submit(lambda: [None for _ in process.stdout])
                for kind in _KINDS.value:
                    _compare(address, process.pid, photos, folder, kind)
                process.terminate()


def _network_flags() -> list[str]:
    runtime = [] if _RUNTIME.value is None else [f'--runtime={_RUNTIME.value}']
    return [f'--checkpoint={_CHECKPOINT.value}', *runtime]


def _read_photos() -> list[bytes]:
    """As many photos as there are requests, as JPEG files."""
    from mattingjax.errors import ImageError
    from mattingjax.images import encode_jpeg, find_images, load_photo

    paths = find_images(Path(_IMAGES.value))
    if not paths:
        raise ImageError(f'{_IMAGES.value}: holds no picture')
    loaded = [load_photo(path) for path in paths[: _REQUESTS.value]]
    files = [encode_jpeg(photo.pixels, 92, None, small=False) for photo in loaded]
    return [files[i % len(files)] for i in range(_REQUESTS.value)]


def _read_address(process: subprocess.Popen[str]) -> str:
    said = []
    for line in process.stdout or ():
        if line.startswith('http://'):
            return line.strip()
        said.append(line)
    raise AssertionError(f'the server has ended: {"".join(said)}')


def _compare(address: str, process: int, photos: list[bytes], folder: Path, kind: str) -> None:
    """Prints what a server and the folder command do in turn."""
    warm = _load(address, process, photos, kind)
    rounds, peers = [], []
    for _ in range(_ROUNDS.value):
        rounds.append(_load(address, process, photos, kind))
        peers.append(_time_folder(folder, kind))
    seconds, peer = statistics.median(r.seconds for r in rounds), statistics.median(peers)
    latencies = sorted(latency for r in rounds for latency in r.latencies)
    statuses = sum((r.statuses for r in rounds), Counter())
    counted = ', '.join(f'{count} of {status}' for status, count in sorted(statuses.items()))
    print(
        f'{kind}: {len(photos) / seconds:.1f} photos/s, {peer / seconds:.2f} of the folder '
        f"command's {len(photos) / peer:.1f}; latency {_quantile(latencies, 0.5):.2f} s, 95% "
        f'within {_quantile(latencies, 0.95):.2f} s; statuses: {counted}; memory '
        f'{warm.memory / 1e6:.0f} MB after the warm-up, {rounds[-1].memory / 1e6:.0f} MB in the end'
    )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))]


def _load(address: str, process: int, photos: list[bytes], kind: str) -> _Round:
    """Sends each photo once, so many at a time."""
    start = time.perf_counter()
    with ThreadPoolExecutor(_PARALLEL.value) as clients:
        answers = list(clients.map(lambda photo: _ask(address, photo, kind), photos))
    seconds = time.perf_counter() - start
    statuses = Counter(status for status, _ in answers)
    latencies = [latency for _, latency in answers]
    return _Round(seconds, latencies, statuses, _read_memory(process))


def _ask(address: str, photo: bytes, kind: str) -> tuple[int, float]:
    """The status of an answer, and the seconds until it was there."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=120)
    connection.request('POST', f'/matte?kind={kind}', photo)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, time.perf_counter() - start


def _read_memory(process: int) -> int:
    found = re.search(r'^VmRSS:\s+(\d+) kB', Path(f'/proc/{process}/status').read_text(), re.M)
    assert found is not None
    return int(found[1]) * 1024


def _time_folder(folder: Path, kind: str) -> float:
    """The seconds that the folder command says it took."""
    command = [
        sys.executable, '-m', 'mattingjax', 'predict', str(folder / 'photos'),
        f'--output={folder / "out"}', f'--outputs={kind}', *_network_flags(),
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r' in ([\d.]+) s', said)
    assert found is not None, said
    return float(found[1])


if __name__ == '__main__':
    command_line.run()
