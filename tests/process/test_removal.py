"""What is removed when the block that made it has failed."""

import contextlib
import threading
import time

import pytest

from mattingjax.process.interrupts import removed_afterwards
from tests.privileges import obeying_permissions


def test_what_may_not_be_removed_is_not_waited_for(tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr('mattingjax.process.removal.time.sleep', slept.append)

    def make():
        (tmp_path / 'parent' / 'made').mkdir(parents=True)
        return str(tmp_path / 'parent' / 'made')

    def forbid():
        (tmp_path / 'parent').chmod(0o500)
        raise OSError('denied')

    with obeying_permissions(), pytest.raises(OSError, match='denied'), removed_afterwards(make):
        forbid()
    (tmp_path / 'parent').chmod(0o700)
    assert len(slept) == 1


def test_what_comes_back_after_an_error_is_removed_again(tmp_path):
    """As TensorStore's threads write on when the first of them has failed."""
    folder, is_over = tmp_path / 'made', threading.Event()

    def write_on():
        is_over.wait()
        for i in range(5):
            time.sleep(0.05)
            with contextlib.suppress(FileNotFoundError):  # removed in between
                (folder / 'sub').mkdir(parents=True, exist_ok=True)
                (folder / 'sub' / str(i)).touch()

    def make():
        folder.mkdir()
        return str(folder)

    def fail():
        is_over.set()
        raise OSError('full')

    writer = threading.Thread(target=write_on)
    writer.start()
    with pytest.raises(OSError, match='full'), removed_afterwards(make):
        fail()
    writer.join()
    assert not folder.exists()
