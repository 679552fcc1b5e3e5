"""A worker in this process."""

import errno
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from mattingjax.inference.bulk import worker as module
from mattingjax.inference.bulk.addresses import open_store
from mattingjax.inference.bulk.worker import ATTEMPTS, Task, Worker
from mattingjax.inference.outputs import Outputs
from tests.inference.bulk.conftest import NETWORK, write_photo


@pytest.fixture
def task(photos, tmp_path):
    return Task(open_store(photos), open_store(tmp_path / 'out'), Outputs(('alpha',)), NETWORK)


def call(worker, *names):
    photos = [
        {'path': name, 'results': name.partition('.')[0], 'size': 1, 'modified': 2}
        for name in names
    ]
    batch = pa.table({'id': ['0-0'], 'photos': [json.dumps(photos)]})
    (result,) = worker(batch).to_pylist()
    return json.loads(result['rows']), result['error']


def test_rows(task, tmp_path):
    rows, error = call(Worker(task), 'a.png', 'b.png')
    assert error is None
    for row, name in zip(rows, 'ab', strict=True):
        assert 0 < row.pop('seconds') < 60
        assert row == {
            'path': f'{name}.png', 'results': name, 'size': 1, 'modified': 2,
            'width': 48, 'height': 40, 'error': None,
        }  # fmt: skip
        assert (tmp_path / 'out' / f'{name}_alpha.png').is_file()
    assert not list((tmp_path / 'out' / ATTEMPTS).iterdir())


def test_bad_photos(task, photos, monkeypatch):
    (photos / 'bad.png').write_bytes(b'no picture')
    write_photo(photos / 'thin.png', side=1)
    rows, error = call(Worker(task), 'bad.png', 'a.png', 'gone.png', 'thin.png')
    assert error is None
    errors = [row['error'] for row in rows]
    assert errors[:2] == ['not a picture in a known format', None]
    assert errors[2] == 'cannot be read (No such file or directory)'
    assert rows[0]['width'] is rows[0]['seconds'] is None
    worker = Worker(task)
    monkeypatch.setattr(worker, '_predictor', lambda *_, **__: 1 // 0)
    rows, _ = call(worker, 'a.png')
    assert rows[0]['error'].startswith('ZeroDivisionError: ')


def test_results_that_cannot_be_written_end_the_run(task, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'b_alpha.png').mkdir()
    rows, error = call(Worker(task), 'a.png', 'b.png', 'sub/c.png')
    assert [row['path'] for row in rows] == ['a.png']
    assert error.endswith('b_alpha.png: expected a file or nothing, found a folder')


def test_a_disk_that_is_full_at_once_ends_the_run_too(task, tmp_path, monkeypatch):
    worker = Worker(task)

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, 'write_bytes', refuse)
    rows, error = call(worker, 'a.png')
    assert (rows, error.partition(': ')[2]) == ([], 'cannot be written (No space left on device)')


class KilledError(BaseException):
    """Stands for the end of the process."""


def test_a_photo_that_ends_every_worker_is_left_alone(task, monkeypatch):
    worker, begun = Worker(task), []
    load = module.load_photo

    def load_or_die(content, name):
        begun.append(name)
        if name == 'b.png':
            raise KilledError
        return load(content, name)

    monkeypatch.setattr(module, 'load_photo', load_or_die)
    names = ['a.png', 'b.png', 'sub/c.png']
    for _ in range(3):
        with pytest.raises(KilledError):
            call(worker, *names)
    rows, error = call(worker, *names)
    assert error is None
    assert {row['path']: row['error'] for row in rows} == {
        'a.png': None,
        'b.png': '2 processes ended that had begun it, perhaps for lack of memory',
        'sub/c.png': None,
    }
    assert begun == ['a.png', 'b.png'] * 3 + ['a.png', 'sub/c.png']
