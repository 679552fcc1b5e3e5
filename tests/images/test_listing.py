"""Pictures in folders."""

import os

import pytest

from mattingjax import MattingError, images


def test_names_that_mean_the_same(tmp_path):
    composed, decomposed = 'caf\u00e9', 'cafe\u0301'
    assert images.name_key(composed) == images.name_key(decomposed) == composed
    path = tmp_path / decomposed / f'{decomposed}.png'
    path.parent.mkdir()
    path.touch()
    assert images.find_path(tmp_path / composed / f'{composed}.png') == path
    assert images.find_path(path) == path
    missing = tmp_path / composed / 'other.png'
    assert images.find_path(missing) == missing
    assert images.find_path(tmp_path / ('x' * 300)) == tmp_path / ('x' * 300)


def test_files_of_unknown_formats_are_listed(tmp_path):
    names = ['a.png', 'b.MOV', 'sub/c.mov', 'd.mp4', 'notes', '.hidden', '.h/x.mp4']
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = images.list_folder(tmp_path)
    assert found.images == [tmp_path / 'a.png']
    assert found.others == [tmp_path / name for name in ('b.MOV', 'd.mp4', 'notes', 'sub/c.mov')]
    assert images.describe_others(found.others) == '2 .mov, 1 .mp4, 1 without extension'
    many = [*found.others, *(tmp_path / name for name in ('a.psd', 'b.psd', 'c.doc', 'd.xls'))]
    named = '2 .mov, 2 .psd, 1 .doc, 1 .mp4, 2 of other kinds'
    assert images.describe_others(many) == named
    assert images.describe_others([]) == ''


def test_find_images(tmp_path):
    for name in ('b.JPG', 'a/c.png', 'a/notes.txt', '.hidden/d.png', '.e.png', 'out/f.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = images.list_folder(tmp_path, leave_out=tmp_path / 'out').images
    assert [str(path.relative_to(tmp_path)) for path in found] == ['a/c.png', 'b.JPG']


def test_an_unreadable_folder_is_an_error(tmp_path, monkeypatch):
    (tmp_path / 'private').mkdir()
    scandir = os.scandir

    def refuse(path):  # whoever runs the tests may be root, whom no permission stops
        if str(path).endswith('private'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(MattingError, match=r'private: cannot be read \(Permission denied\)'):
        images.find_images(tmp_path)
