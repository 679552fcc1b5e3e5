"""Folders and object stores behave alike."""

import os
import pickle
import shutil

import pytest

from mattingjax import MattingError
from mattingjax.errors import OutputError
from mattingjax.inference.bulk import object_store
from mattingjax.inference.bulk.addresses import open_store
from mattingjax.inference.bulk.store import Entry
from tests.conftest import ROOT


@pytest.fixture(params=['folder', 's3'])
def address(request, tmp_path):
    """A function that makes addresses of folders, which are not there yet."""
    if request.param == 'folder':
        return lambda folder: str(tmp_path / folder)
    return request.getfixturevalue('bucket')[1]


def listed(store, folder=''):
    return [(entry.name, entry.size, entry.is_folder) for entry in store.list(folder)]


def test_files(address):
    store = pickle.loads(pickle.dumps(open_store(address('here'))))
    with pytest.raises(FileNotFoundError):
        store.list('')
    for i in range(12):  # more than a page of the stand-in
        store.write(f'photos/{i:02}.png', bytes(i))
    store.write('b & c.png', b'123')
    with store.creating('large') as path:
        path.write_bytes(bytes(6_000_000))
    assert listed(store, 'photos') == [(f'{i:02}.png', i, False) for i in range(12)]
    assert [entry for entry in listed(store) if not entry[0].startswith('.')] == [
        ('b & c.png', 3, False),
        ('large', 6_000_000, False),
        ('photos', 0, True),
    ]
    assert store.read('photos/07.png') == bytes(7)
    with store.open('large') as file:
        assert file.size() == 6_000_000
    store.write('b & c.png', b'4')
    assert store.read('b & c.png') == b'4'
    with pytest.raises(FileNotFoundError):
        store.read('nothing')
    store.remove('photos')
    store.remove('large')
    store.remove('nothing')
    assert [name for name, _, _ in listed(store) if not name.startswith('.')] == ['b & c.png']


def test_a_file_that_is_not_finished_does_not_appear(address):
    store = open_store(address('here'))
    store.write('table', b'old')

    def fail():
        with store.creating('table') as path:
            path.write_bytes(b'half')
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.read('table') == b'old'


def test_one_within_another(address):
    store = open_store(address('a'))
    assert store.find(open_store(address('a'))) == ''
    assert store.find(open_store(address('a/b/c'))) == 'b/c'
    assert store.find(open_store(address('ab'))) is None
    assert open_store(address('a/b')).find(store) is None
    assert store.identity == open_store(address('a/')).identity


def test_a_folder_is_no_bucket(bucket, tmp_path):
    _, address = bucket
    assert open_store(tmp_path).find(open_store(address(''))) is None
    assert open_store(address('')).find(open_store(tmp_path)) is None


def test_a_store_that_fails_is_asked_again(bucket, monkeypatch):
    monkeypatch.setattr(object_store, '_PAUSES', (0.0, 0.0))
    found, address = bucket
    found.put('here/photo', b'1')
    store, faults = open_store(address('here')), iter([OSError('timeout'), OSError('timeout')])
    opened = store.open

    def open_or_fail(name):
        for fault in faults:
            raise fault
        return opened(name)

    monkeypatch.setattr(store, 'open', open_or_fail)
    assert store.read('photo') == b'1'
    faults = iter([OSError('timeout')] * 3)
    with pytest.raises(OSError, match='timeout'):
        store.read('photo')


def test_a_store_that_refuses(bucket, monkeypatch):
    monkeypatch.setattr(object_store, '_PAUSES', ())
    found, address = bucket
    store = open_store(address('here'))
    found.is_forbidden = True
    with pytest.raises(
        OutputError, match=r'^s3://bucket/here/a\.png: cannot be written \(.*ACCESS'
    ):
        store.write('a.png', b'')


def test_a_small_file_is_one_request(bucket):
    found, address = bucket
    open_store(address('here')).write('a.png', b'1')
    assert found.requests == [('PUT', 'here/a.png')]


@pytest.mark.parametrize('address', ['', 'ftp://host/folder', 's3:///', 's3://b?nonsense=1'])
def test_bad_addresses(address):
    with pytest.raises(MattingError, match='expected a folder, s3://BUCKET'):
        open_store(address)


def test_a_folder_by_its_address(tmp_path):
    open_store(f'file://{tmp_path}').write('a', b'1')
    assert (tmp_path / 'a').read_bytes() == b'1'


def test_a_second_run_is_kept_out(tmp_path):
    first, second = open_store(tmp_path), open_store(tmp_path)
    with first.locked(), pytest.raises(MattingError, match='another run writes there'):
        second.locked().__enter__()
    with second.locked():
        pass


@pytest.mark.parametrize('is_made_anew', [False, True])
def test_a_folder_that_is_removed_meanwhile(tmp_path, is_made_anew):
    store = open_store(tmp_path / 'out')
    run = store.locked()
    run.__enter__()
    shutil.rmtree(tmp_path / 'out')
    if is_made_anew:
        store.write('.bulk/lock', b'')
    with pytest.raises(OutputError, match='out: was removed meanwhile'):
        run.__exit__(None, None, None)


def test_a_lock_that_is_a_pipe(tmp_path):
    (tmp_path / '.bulk').mkdir()
    os.mkfifo(tmp_path / '.bulk' / 'lock')
    with pytest.raises(OutputError, match='cannot be written'):
        open_store(tmp_path).locked().__enter__()


def test_times_that_no_table_can_hold(tmp_path):
    (tmp_path / 'late').touch()
    os.utime(tmp_path / 'late', ns=(10**19, 10**19))
    (entry,) = open_store(tmp_path).list('')
    assert entry.modified == 2**63 - 1


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'loop').symlink_to(tmp_path / 'in')
    (tmp_path / 'in' / 'file').symlink_to(ROOT / 'README.md')
    (tmp_path / 'in' / 'broken').symlink_to(tmp_path / 'nothing')
    (tmp_path / 'in' / 'circle').symlink_to(tmp_path / 'in' / 'circle')
    (tmp_path / 'in' / 'long').symlink_to('n' * 300)
    os.mkfifo(tmp_path / 'in' / 'pipe')
    status = (ROOT / 'README.md').stat()
    assert open_store(tmp_path / 'in').list('') == [
        Entry('file', status.st_size, status.st_mtime_ns)
    ]
