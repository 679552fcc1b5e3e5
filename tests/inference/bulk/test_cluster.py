"""Runs of bulk matting by Ray, which is started once."""

import contextlib
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from ray import exceptions as ray_exceptions

from mattingjax import MattingError
from mattingjax.inference.bulk import cluster, matte_bulk, matting
from mattingjax.inference.bulk.cluster import connected
from mattingjax.inference.bulk.table import PARTS
from tests.inference.bulk.conftest import NETWORK, read_rows, write_photo
from tests.waiting import wait_until


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """A home folder with nothing in it."""
    return tmp_path_factory.mktemp('home')


@pytest.fixture(scope='module', autouse=True)
def ray(home):
    """Ray with two workers, for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HOME', str(home))
        for name in ('MODE', 'TOKEN', 'TOKEN_PATH'):
            patch.setenv(f'RAY_AUTH_{name}', '')  # so that it is put back
            patch.delenv(f'RAY_AUTH_{name}')
        with connected(None, 2, 2):
            yield


def test_nothing_is_written_to_the_home_folder(home):
    assert list(home.iterdir()) == []


def find_workers():
    """The processes of this machine that matte for this one's Ray."""
    import ray

    session = ray._private.worker._global_node.get_session_dir_path().encode()
    found = []
    for path in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if b'ray::MapWorker(MapBatches(Worker)' in (path / 'cmdline').read_bytes():
                files = b'\0'.join(
                    os.fsencode(os.readlink(link)) for link in (path / 'fd').iterdir()
                )
                if session in files:
                    found.append(int(path.name))
    return found


def kill_one(target, after):
    """Kills a worker once so many results lie there; returns the thread that does it."""

    def kill():
        wait_until(lambda: len(list(target.rglob('*_alpha.png'))) >= after)
        os.kill(find_workers()[0], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def check_whole(target, photos):
    """One result and one row for each photo, all whole, and nothing else."""
    rows = read_rows(target)
    assert len(rows) == len({row['path'] for row in rows}) == photos
    assert all(row['error'] is None for row in rows)
    files = sorted(path for path in target.rglob('*') if path.is_file())
    assert len(files) == photos + 2  # the table and the lock
    for path in files:
        if path.suffix == '.png':
            with Image.open(path) as picture:
                picture.load()


def run_and_kill(folder, count, side):
    for i in range(count):
        write_photo(folder / 'in' / f'{i % 7}' / f'{i}.png', i, side)
    thread = kill_one(folder / 'out', count // 4)
    network = NETWORK | {'input_size': 64}
    summary = matte_bulk(folder / 'in', folder / 'out', network=network, workers=2)
    thread.join(1)
    assert not thread.is_alive()
    assert (summary.matted, summary.failed, summary.workers) == (count, 0, 2)
    check_whole(folder / 'out', count)
    files = [path for path in (folder / 'out').rglob('*') if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    again = matte_bulk(folder / 'in', folder / 'out', network=network, workers=2)
    assert (again.matted, again.existing) == (0, count)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.skipif(not Path('/proc/self/fd').exists(), reason='needs /proc')
def test_a_worker_is_killed(tmp_path, capfd):
    run_and_kill(tmp_path, 120, 300)
    said, complaints = capfd.readouterr()
    assert said == ''
    assert all(line.startswith('matting: ') for line in complaints.splitlines())


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/fd').exists(), reason='needs /proc')
def test_a_worker_is_killed_among_two_thousand_photos(tmp_path):
    run_and_kill(tmp_path, 2000, 64)


def test_results_that_cannot_be_written_end_the_run(tmp_path, photos):
    (tmp_path / 'out' / 'sub' / 'c_alpha.png').mkdir(parents=True)
    with pytest.raises(MattingError, match=r'c_alpha\.png: expected a file or nothing'):
        matte_bulk(photos, tmp_path / 'out', network=NETWORK, workers=1)
    (tmp_path / 'out' / 'sub' / 'c_alpha.png').rmdir()
    matte_bulk(photos, tmp_path / 'out', network=NETWORK, workers=1)
    check_whole(tmp_path / 'out', 3)


def test_the_table_has_all_rows_before_ray_ends(tmp_path, photos, monkeypatch):
    """Its end takes a second, in which the process may be killed."""
    rows = []

    @contextlib.contextmanager
    def watched(*arguments):
        with connected(*arguments) as workers:
            yield workers
        for part in (tmp_path / 'out' / PARTS).iterdir():
            rows.extend(pq.read_table(part).to_pylist())

    monkeypatch.setattr(matting, 'connected', watched)
    matte_bulk(photos, tmp_path / 'out', network=NETWORK, workers=1)
    assert {row['path'] for row in rows} == {row['path'] for row in read_rows(tmp_path / 'out')}
    assert len(rows) == 3


def test_a_network_that_only_this_process_has(tmp_path, photos):
    """It is loaded here first, so that what is wrong with it is said at once."""
    with pytest.raises(MattingError, match='nothing'):
        matte_bulk(photos, tmp_path / 'out', network={'path_or_name': 'nothing'})
    assert not (tmp_path / 'out').exists()


def test_what_failed_in_a_worker_is_told_without_advice():
    error = ray_exceptions.RayTaskError(
        'f', 'Traceback\n', OSError('why\nTo change retry attempts')
    )
    assert cluster._explain(error) == 'why'
    assert cluster._explain(ray_exceptions.RayError('Traceback\nOSError: why\n')) == 'OSError: why'


@contextlib.contextmanager
def answering(answer):
    """The address of a server that says the same to whoever connects, and closes."""
    with socket.create_server(('127.0.0.1', 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(30)  # where nobody connects

        def answer_one():
            connection, _ = server.accept()
            with connection:
                connection.recv(64)
                connection.sendall(answer)

        pool.submit(answer_one)
        yield f'127.0.0.1:{server.getsockname()[1]}'


@pytest.mark.parametrize('answer', [b'HTTP/1.1 400 Bad Request', b'', b'SSH'])
def test_what_is_not_ray_is_told_at_once(answer):
    with (
        answering(answer) as address,
        pytest.raises(MattingError, match=f'got {address}, where something else answers'),
        cluster._running(address, 1),
    ):
        pass


@pytest.mark.parametrize('mode', [None, 'token'])
@pytest.mark.parametrize('error', [ConnectionError, ray_exceptions.AuthenticationError])
def test_a_cluster_that_asks_for_a_token(monkeypatch, mode, error):
    def refuse(**_):
        raise error('Failed to connect')

    monkeypatch.setattr('ray.init', refuse)
    monkeypatch.delenv('RAY_AUTH_MODE', raising=False)
    if mode is not None:
        monkeypatch.setenv('RAY_AUTH_MODE', mode)
    with (
        answering(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) as address,
        pytest.raises(MattingError, match='Failed to connect') as caught,
        cluster._running(address, 1),
    ):
        pass
    assert ('needs RAY_AUTH_MODE=token' in str(caught.value)) == (mode is None)
