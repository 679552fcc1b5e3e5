"""Locks: had by one at a time, given back at the end, and no hindrance where there are none."""

import errno
import os

import pytest

from mattingjax.errors import MattingError, OutputError
from mattingjax.process.locks import held, locked

fcntl = pytest.importorskip('fcntl')


def test_locks_end_with_their_owner(tmp_path):
    with held(tmp_path) as first, held(tmp_path) as second:
        assert (first, second) == (True, False)
    with held(tmp_path) as again:
        assert again
    with held(tmp_path / 'missing') as missing:
        assert not missing


def test_a_place_is_one_process_s(tmp_path):
    file = tmp_path / 'new' / '.lock'
    with locked(file, 'place', 'in use'):
        with pytest.raises(MattingError, match=r'^place: in use$'), locked(file, 'place', 'in use'):
            pass
        with held(file) as is_free:
            assert not is_free
    with locked(file, 'place', 'in use'):
        pass


def test_a_place_that_is_none(tmp_path):
    (tmp_path / 'a').touch()
    message = r'^place: cannot be written \(.*\)$'
    with pytest.raises(OutputError, match=message), locked(tmp_path / 'a' / 'b', 'place', ''):
        pass


def test_file_systems_without_locks_keep_nobody_out(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with held(tmp_path, wait=60) as is_ours:
        assert not is_ours
    with locked(tmp_path / 'lock', 'place', 'in use'), locked(tmp_path / 'lock', 'place', ''):
        pass
