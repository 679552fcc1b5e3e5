import os

import pytest

from mattingjax import MattingError
from mattingjax.files import check_new_folder, new_folder, write_file


def test_write_file_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'a.png'
    write_file(path, b'old')
    assert path.stat().st_mode & 0o600 == 0o600

    def fail(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(MattingError, match=r'a.png: cannot be written \(No space left'):
        write_file(path, b'new')
    assert path.read_bytes() == b'old'
    assert [child.name for child in path.parent.iterdir()] == ['a.png']


def test_new_folder_appears_whole(tmp_path):
    path = tmp_path / 'deep' / 'result'
    with new_folder(path, 'a result', 'mark') as scratch:
        (scratch / 'mark').write_text('1')
        assert not path.exists()
    assert (path / 'mark').read_text() == '1'
    assert [child.name for child in path.parent.iterdir()] == ['result']


def test_new_folder_leaves_nothing_behind_and_nothing_lost(tmp_path):
    path = tmp_path / 'result'
    path.mkdir()
    (path / 'mark').write_text('old')
    with pytest.raises(ZeroDivisionError), new_folder(path, 'a result', 'mark', overwrite=True):
        1 / 0  # noqa: B018
    assert (path / 'mark').read_text() == 'old'
    assert [child.name for child in tmp_path.iterdir()] == ['result']
    with new_folder(path, 'a result', 'mark', overwrite=True) as scratch:
        (scratch / 'mark').write_text('new')
    assert (path / 'mark').read_text() == 'new'


@pytest.mark.parametrize(
    ('content', 'overwrite', 'message'),
    [
        ('mark', False, 'result: a result lies there already'),
        ('photo.jpg', True, 'result: the folder is not empty'),
    ],
)
def test_new_folder_spares_what_lies_there(tmp_path, content, overwrite, message):
    path = tmp_path / 'result'
    path.mkdir()
    (path / content).write_text('old')
    with pytest.raises(MattingError, match=message):
        check_new_folder(path, 'a result', 'mark', overwrite=overwrite)
