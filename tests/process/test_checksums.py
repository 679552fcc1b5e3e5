"""SHA256SUMS: what sha256sum reads, and what damaged, strange and hostile ones are told as."""

import os
import shutil
import subprocess

import pytest

from mattingjax.process.checksums import SUMS_FILE, find_damage, write_checksums

ODD_NAMES = ('a b', 'line\nbreak', 'back\\slash', 'back\\nslash', 'return\r', 'é', '-x', '*star')
EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
OF_B = '3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d'


@pytest.fixture
def folder(tmp_path):
    """A file in the folder, and one in a folder of it."""
    (tmp_path / 'deep').mkdir()
    (tmp_path / 'a').write_bytes(b'')
    (tmp_path / 'deep' / 'b').write_bytes(b'b')
    write_checksums(tmp_path)
    return tmp_path


def test_what_is_written(folder):
    text = (folder / SUMS_FILE).read_text()
    assert text == f'{EMPTY}  a\n{OF_B}  deep/b\n'
    assert find_damage(folder) is None
    (folder / SUMS_FILE).unlink()
    assert find_damage(folder) is None  # as earlier versions wrote folders


@pytest.mark.skipif(shutil.which('sha256sum') is None, reason='no sha256sum')
def test_sha256sum_reads_it(tmp_path):
    for name in (*ODD_NAMES, os.fsdecode(b'\xff')):
        (tmp_path / name).write_text(name, errors='surrogateescape')
    write_checksums(tmp_path)
    assert find_damage(tmp_path) is None
    subprocess.run(['sha256sum', '--strict', '-c', SUMS_FILE], cwd=tmp_path, check=True)
    (tmp_path / 'line\nbreak').write_bytes(b'')
    assert find_damage(tmp_path).startswith('line\nbreak: expected SHA-256 ')


def test_each_damage_is_told(folder):
    (folder / 'deep' / 'b').write_bytes(b'c')
    assert find_damage(folder) == ('deep/b: expected SHA-256 3e23e8160039…, found 2e7d2c03a950…')
    assert find_damage(folder, only='a') is None
    assert find_damage(folder, only='deep/b') is not None
    (folder / 'deep' / 'b').unlink()
    assert find_damage(folder) == 'missing: deep/b'
    os.mkfifo(folder / 'deep' / 'b')
    assert find_damage(folder) == 'missing: deep/b'


def test_files_that_are_not_listed(folder):
    """People put notes beside what is listed, and file managers files of their own anywhere."""
    for name in ('notes', '.DS_Store', 'deep/.DS_Store'):
        (folder / name).touch()
    assert find_damage(folder) is None
    for name in 'cdefg':
        (folder / 'deep' / name).touch()
    assert find_damage(folder) == ('not listed in SHA256SUMS: deep/c, deep/d, deep/e and 2 more')


def test_the_one_file_that_is_looked_at_must_be_listed(folder):
    assert find_damage(folder, 'a') is None
    (folder / 'SHA256SUMS').write_text('')
    assert find_damage(folder, 'a') == 'not listed in SHA256SUMS: a'


def test_files_that_may_change_are_left_out(folder):
    write_checksums(folder, leave_out=['a'])
    (folder / 'a').write_bytes(b'changed')
    assert find_damage(folder) is None


def test_links_are_followed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    (folder / 'a').rename(elsewhere / 'a')
    (folder / 'a').symlink_to(elsewhere / 'a')
    (folder / 'deep').rename(elsewhere / 'deep')
    (folder / 'deep').symlink_to(elsewhere / 'deep')
    (folder / 'round').symlink_to(folder)
    assert find_damage(folder) is None
    (elsewhere / 'deep' / 'b').write_bytes(b'')
    assert find_damage(folder).startswith('deep/b: expected')


@pytest.mark.parametrize(
    'content',
    [
        'no list\n',
        f'{EMPTY}  /etc/passwd\n',
        f'{EMPTY}  ../a\n',
        f'{EMPTY}  deep/../a\n',
        f'{EMPTY}  ./a\n',
        f'{EMPTY}  deep//b\n',
        f'{EMPTY}  a\n{EMPTY}  a\n',
        f'{EMPTY.upper()}  a\n',
        f'\\{EMPTY}  \\n\\n/../x\n',
        '\0' * 100 + '\n',
        f'{EMPTY}  a',  # cut off
        f'{EMPTY}  a\nmore',
    ],
)
def test_what_is_no_list(folder, content):
    (folder / SUMS_FILE).write_text(content)
    assert find_damage(folder).startswith('SHA256SUMS: expected ')


def test_a_list_of_any_size_or_kind_is_not_read(folder):
    os.truncate(folder / SUMS_FILE, 2**30)
    assert find_damage(folder) == 'SHA256SUMS: expected at most 16777216 bytes, found 1073741824'
    (folder / SUMS_FILE).unlink()
    (folder / SUMS_FILE).symlink_to('/dev/zero')
    assert find_damage(folder) == (
        'SHA256SUMS: cannot be read (expected a file, found a device or a pipe)'
    )
    (folder / SUMS_FILE).unlink()
    (folder / SUMS_FILE).symlink_to('nowhere')
    assert find_damage(folder) == 'SHA256SUMS: cannot be read (No such file or directory)'
