"""The command: what it says, how it ends, and what it does after it was killed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, assert_one_line_error
from tests.forked import run_script

pytest.importorskip('ray', reason='the extra bulk is not installed')

from tests.inference.bulk.conftest import read_rows, write_photo
from tests.waiting import wait_until

FLAGS = ['--checkpoint=mmnet_0.5', '--input_size=64', '--workers=2']


def command(folder):
    places = [f'--input={folder / "in"}', f'--output={folder / "out"}']
    return [sys.executable, '-m', 'mattingjax', 'bulk', *places, *FLAGS]


def write_photos(folder, count, side=200):
    for i in range(count):
        write_photo(folder / 'in' / f'{i}.png', i, side)


def start_and_signal(folder, number, results):
    """Runs the command and sends it a signal once it has written so many results."""
    process = subprocess.Popen(
        command(folder), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    written = lambda: len(list((folder / 'out').glob('*_alpha.png'))) >= results  # noqa: E731
    wait_until(lambda: written() or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
    process.send_signal(number)
    said, complaints = process.communicate(timeout=120)
    for session in Path('/tmp').glob(f'.writing.mattingjax.*/session_*_{process.pid}'):
        shutil.rmtree(session.parent)  # which Ray leaves where the process is killed
    return process.returncode, said, complaints


def without_progress(complaints):
    return [line for line in complaints.splitlines() if line and not line.startswith('matting: ')]


def finish(folder):
    return subprocess.run(
        command(folder), cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    ).stdout


def check_whole(folder, photos):
    rows = read_rows(folder / 'out')
    assert len(rows) == len({row['path'] for row in rows}) == photos
    names = sorted(path.name for path in (folder / 'out').iterdir())
    assert names == sorted(['.bulk', 'table.parquet', *(f'{i}_alpha.png' for i in range(photos))])
    assert os.listdir(folder / 'out' / '.bulk') == ['lock']


def test_it_is_killed_and_goes_on(tmp_path):
    write_photos(tmp_path, 100)
    status, _, _ = start_and_signal(tmp_path, signal.SIGKILL, 20)
    assert status == -signal.SIGKILL
    said = finish(tmp_path)
    assert ' 0 failed, ' in said
    check_whole(tmp_path, 100)
    assert finish(tmp_path).startswith('0 matted, 0 failed, 100 there already, by mmnet_0.5;')


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(tmp_path, number):
    write_photos(tmp_path, 300)
    status, said, complaints = start_and_signal(tmp_path, number, 60)
    assert (status, said.count('\n')) == (128 + number, 1), complaints
    assert without_progress(complaints) == [
        'stopping: the table is written (a second signal stops at once)'
    ]
    matted = int(said.split()[0])
    assert len(read_rows(tmp_path / 'out')) == matted < 300
    session = f'{tmp_path}/out'
    assert not [
        path for path in Path('/proc').glob('[0-9]*/cmdline') if session.encode() in read(path)
    ]
    assert f', {matted} there already' in finish(tmp_path)
    check_whole(tmp_path, 300)


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b''


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        ([], 'error: --input: a value is required (see --help)'),
        (['--input=in'], 'error: --output: a value is required (see --help)'),
        (['--input=nothing', '--output=out'], 'error: nothing: no such folder'),
        (['--input=in', '--output=in'], 'error: in: expected a folder that does not hold the'),
        (['--input=in', '--output=out', '--workers=0'], 'error: --workers: expected at least 1'),
        (
            ['--input=in', '--output=out', '--address=127.0.0.1:1'],
            'error: --address: expected auto or HOST:PORT of a Ray cluster, got 127.0.0.1:1 ([E',
        ),
        (['--input=x://y', '--output=out'], 'error: x://y: expected a folder, s3://BUCKET/'),
        (['--input=in', '--output=out', '--checkpoint=no'], 'error: no: '),
        (['--input=in', '--output=out', '--outputs=nose'], 'error: --outputs: expected some of'),
    ],
)
def test_bad_flags(tmp_path, flags, message):
    write_photos(tmp_path, 1)
    finished = run_script('mattingjax', 'bulk', *flags, cwd=tmp_path)
    assert_one_line_error(finished, message)


@pytest.mark.slow
def test_nothing_can_be_matted(tmp_path):
    write_photos(tmp_path, 1)
    (tmp_path / 'in' / '0.png').write_bytes(b'no picture')
    finished = subprocess.run(
        command(tmp_path), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert finished.returncode == 2
    assert finished.stdout.startswith('0 matted, 1 failed, 0 there already, by mmnet_0.5;')
    assert without_progress(finished.stderr) == ['failed: 0.png: not a picture in a known format']
