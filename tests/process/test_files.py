import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mattingjax import MattingError
from mattingjax.errors import OutputError
from mattingjax.process import interrupts
from mattingjax.process.files import (
    check_folder,
    check_new_file,
    check_new_folder,
    new_file,
    new_folder,
    write_file,
    write_files,
)


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


def test_files_of_one_result_are_written_all_or_none(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ('a.csv', 'a.png', 'a.json')]
    write_files(dict.fromkeys(paths, b'old'))
    written, write = [], Path.write_bytes

    def fail(path, content):
        if content == b'bad':
            raise OSError(28, 'No space left on device', str(path))
        write(path, content)

    monkeypatch.setattr(Path, 'write_bytes', fail)
    for bad in paths:
        contents = {path: b'bad' if path == bad else b'new' for path in paths}
        with pytest.raises(OutputError, match=rf'{bad.name}: cannot be written \(No space left'):
            write_files(contents)
    assert {path.read_bytes() for path in paths} == {b'old'}
    assert sorted(os.listdir(tmp_path)) == ['a.csv', 'a.json', 'a.png']
    replace = Path.replace
    monkeypatch.setattr(
        Path, 'replace', lambda path, to: (written.append(to.name), replace(path, to))
    )
    write_files(dict.fromkeys(paths, b'new'))
    assert written == ['a.csv', 'a.png', 'a.json']  # the last one means that all are there
    assert {path.read_bytes() for path in paths} == {b'new'}


def test_no_signal_ends_the_process_between_two_names(tmp_path, monkeypatch):
    """Whoever ends it takes the lock of `writing` first, in another thread."""
    replace, could_end = Path.replace, []

    def replace_and_try(path, to):
        def end():
            could_end.append(interrupts._writing.acquire(blocking=False))
            if could_end[-1]:
                interrupts._writing.release()

        thread = threading.Thread(target=end)
        thread.start()
        thread.join()
        return replace(path, to)

    monkeypatch.setattr(Path, 'replace', replace_and_try)
    write_files({tmp_path / name: b'' for name in 'ab'})
    assert could_end == [False, False]


def test_new_file_appears_whole(tmp_path):
    path = tmp_path / 'deep' / 'a.mp4'
    check_new_file(path)
    assert os.listdir(tmp_path) == []
    for text in ('old', 'new'):
        with new_file(path) as scratch:
            assert scratch.parent == path.parent
            scratch.write_text(text)
            assert not path.exists() or path.read_text() == 'old'
    with pytest.raises(ZeroDivisionError), new_file(path):
        1 / 0  # noqa: B018
    message = r'a\.mp4: cannot be written \(Not a directory'
    with pytest.raises(OutputError, match=message), new_file(path) as scratch:
        (scratch / 'below').unlink()
    assert path.read_text() == 'new'
    assert [child.name for child in path.parent.iterdir()] == ['a.mp4']


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


# What a file system takes, and a shell, a glob or a URL would read as something else.
ODD_NAMES = [
    'r[0.3]',
    'a b',
    '*?%#~{}$&;',
    '-x',
    'it\'s "so"',
    'é' * 127,
    'x' * 255,
    'line\nbreak',
    os.fsdecode(b'\xff\xfe'),
    '..a',
]


@pytest.mark.parametrize('name', ODD_NAMES, ids=ascii)
def test_every_name_that_the_file_system_takes(tmp_path, name):
    write_file(tmp_path / name / name, b'1')
    write_file(tmp_path / name / name, b'2')
    assert (tmp_path / name / name).read_bytes() == b'2'
    path = tmp_path / 'folders' / name
    for text in ('old', 'new'):
        with new_folder(path, 'a result', 'mark', overwrite=True) as scratch:
            (scratch / 'mark').write_text(text)
    assert (path / 'mark').read_text() == 'new'
    for folder in (tmp_path / name, path.parent):
        assert os.listdir(folder) == [name]


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('x' * 256, 'File name too long'),
        ('x' * 300 + '/y', 'File name too long'),
        ('new/' + 'x' * 300, 'File name too long'),
        ('x/' * 2500, 'File name too long'),
        ('a\0b', 'no name for a file'),
        ('\ud800', 'no name for a file'),
        ('loop', 'found a link to nothing'),
        ('file/below', 'found a file'),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_names_that_no_file_can_have(tmp_path, name, message):
    (tmp_path / 'loop').symlink_to('loop')
    (tmp_path / 'file').touch()
    path = tmp_path / name
    with pytest.raises(OutputError, match=message) as caught:
        check_new_folder(path, 'a result', 'mark')
    assert len(str(caught.value)) <= 300
    with pytest.raises(OutputError, match=message):
        check_folder(path)
    with pytest.raises(OutputError):
        write_file(path, b'')
    assert sorted(os.listdir(tmp_path)) in (['file', 'loop'], ['file', 'loop', 'new'])


def test_links_are_followed(tmp_path):
    (tmp_path / 'link').symlink_to('elsewhere')
    write_file(tmp_path / 'link', b'1')
    assert (tmp_path / 'elsewhere').read_bytes() == b'1'
    (tmp_path / 'folder_link').symlink_to('folder')
    with new_folder(tmp_path / 'folder_link', 'a result', 'mark'):
        pass
    assert (tmp_path / 'folder').is_dir()
    assert (tmp_path / 'folder_link').is_symlink()


def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for attempt in (lambda path: write_file(path, b''), check_new_file):
        with pytest.raises(OutputError, match='found a device or a pipe'):
            attempt(tmp_path / 'pipe')
    assert (tmp_path / 'pipe').is_fifo()
    with pytest.raises(OutputError, match='found a folder'):
        write_file(tmp_path, b'')


def test_errors_about_what_lies_within_name_the_folder(tmp_path):
    def make():
        with new_folder(tmp_path / 'made', 'a result', 'mark') as scratch:
            (scratch / 'below').touch()
            write_file(scratch / 'below' / 'a.png', b'')

    with pytest.raises(OutputError, match=rf'^{tmp_path}/made/below'):
        make()


def test_a_full_disk(tmp_path):
    """A limit on a file's size stands for it; the process is another, which the limit ends with."""
    code = """
import os, resource, signal, sys
from pathlib import Path
from mattingjax.process.files import new_folder, write_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder = Path(sys.argv[1])
def make():
    with new_folder(folder / 'made', 'a result', 'mark') as scratch:
        (scratch / 'mark').write_bytes(bytes(2000))
for act in (lambda: write_file(folder / 'a.png', bytes(2000)), make):
    try:
        act()
    except ValueError as error:
        print(type(error).__name__, error)
"""
    process = subprocess.run(
        [sys.executable, '-c', code, tmp_path], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines() == [
        f'OutputError {tmp_path}/a.png: cannot be written (File too large)',
        f'OutputError {tmp_path}/made: cannot be written (File too large)',
    ]
    assert os.listdir(tmp_path) == []


def test_temporary_files_lie_in_another_folder(tmp_path):
    (tmp_path / 'scratch').mkdir()
    with new_file(tmp_path / 'results' / 'a', tmp_path / 'scratch') as scratch:
        assert scratch.parent == tmp_path / 'scratch'
        assert list((tmp_path / 'results').iterdir()) == []
        scratch.write_bytes(b'1')
    write_file(tmp_path / 'results' / 'b', b'2', tmp_path / 'scratch')
    assert [(tmp_path / 'results' / name).read_bytes() for name in 'ab'] == [b'1', b'2']
    assert list((tmp_path / 'scratch').iterdir()) == []
