"""Folders that vanish or change while they are read and written, and others who write there too."""

import contextlib
import itertools
import shutil
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mattingjax.errors import OutputError
from mattingjax.inference.folders import matte_photos
from mattingjax.inference.jobs import list_jobs
from mattingjax.inference.outputs import Outputs
from tests.privileges import obeying_permissions

OUTPUTS = Outputs(('alpha', 'cutout'))
COUNT = 12


class Predictor:
    """Gives grey alphas, and does something before one of them."""

    compiles = False

    def __init__(self, act=lambda: None, at=COUNT // 2):
        self._act, self._at, self._count = act, at, 0

    def preparing(self, _):
        return threading.Lock()

    def __call__(self, photo):
        self._count += 1
        if self._count == self._at:
            self._act()
        return np.full(photo.pixels.shape[:2], 0.5, np.float32)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    for i in range(COUNT):
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{i:02}.png')
    return folder


def matte(predictor, photos, target):
    jobs, _ = list_jobs([photos], target, OUTPUTS)
    return matte_photos(predictor, jobs, OUTPUTS)


def check_whole(files):
    for file in files:
        with Image.open(file) as picture:
            picture.load()


@pytest.mark.parametrize('fault', ['gone', 'empty', 'other', 'a folder', 'the whole folder'])
def test_photos_that_change_after_they_are_listed_are_skipped(photos, tmp_path, capsys, fault):
    def break_last():
        last = photos / f'{COUNT - 1:02}.png'
        last.unlink()
        if fault == 'empty':
            last.touch()
        elif fault == 'other':
            last.write_bytes(b'no picture')
        elif fault == 'a folder':
            last.mkdir()
        elif fault == 'the whole folder':
            shutil.rmtree(photos)

    summary = matte(Predictor(break_last, at=1), photos, tmp_path / 'out')
    assert photos / f'{COUNT - 1:02}.png' in [path for path, _ in summary.skipped]
    assert len(summary.matted) + len(summary.skipped) == COUNT
    said = capsys.readouterr().err.splitlines()
    assert sum('skipped: ' in line for line in said) == len(summary.skipped)
    check_whole(summary.files)


@pytest.mark.parametrize('is_all', [False, True])
def test_photos_that_may_not_be_read_any_more_are_skipped(photos, tmp_path, is_all):
    forbidden = photos if is_all else photos / f'{COUNT - 1:02}.png'
    with obeying_permissions():
        summary = matte(Predictor(lambda: forbidden.chmod(0), at=1), photos, tmp_path / 'out')
    forbidden.chmod(0o755)
    assert (photos / f'{COUNT - 1:02}.png', 'cannot be read (Permission denied)') in [
        (path, reason.removeprefix(f'{path}: ')) for path, reason in summary.skipped
    ]
    assert len(summary.matted) + len(summary.skipped) == COUNT
    check_whole(summary.files)


def test_a_target_that_may_not_be_written_to_any_more_is_told(photos, tmp_path):
    target = tmp_path / 'out'
    message = r'out/\d\d_\w+\.png: cannot be written \(Permission denied\)'
    with obeying_permissions(), pytest.raises(OutputError, match=message):
        matte(Predictor(lambda: target.chmod(0o555)), photos, target)
    target.chmod(0o755)
    left = list(target.iterdir())
    assert len(left) >= 2
    check_whole(left)
    with obeying_permissions():
        assert len(matte(Predictor(), photos, target).matted) == COUNT


def test_a_target_that_vanishes_is_made_anew_or_told(photos, tmp_path):
    target = tmp_path / 'out'
    with contextlib.suppress(OutputError):  # it may vanish while a file is written
        summary = matte(Predictor(lambda: shutil.rmtree(target, True)), photos, target)
        assert len(summary.matted) == COUNT
    left = list(target.iterdir())
    check_whole(left)
    assert all(file.suffix == '.png' and not file.name.startswith('.') for file in left)


def test_a_target_that_becomes_a_file_is_told(photos, tmp_path):
    target = tmp_path / 'out'

    def replace():
        shutil.rmtree(target, ignore_errors=True)
        while not target.is_file():  # the other threads may make it anew
            shutil.rmtree(target, ignore_errors=True)
            try:
                target.write_text('mine')
            except IsADirectoryError:
                continue

    with pytest.raises(OutputError, match='out'):
        matte(Predictor(replace), photos, target)
    assert target.read_text() == 'mine'


def test_two_runs_into_one_folder_leave_whole_files(photos, tmp_path):
    target, summaries = tmp_path / 'out', []
    threads = [
        threading.Thread(target=lambda: summaries.append(matte(Predictor(), photos, target)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(summary.matted) for summary in summaries] == [COUNT] * 2
    left = sorted(target.iterdir())
    assert len(left) == 2 * COUNT
    check_whole(left)


def test_a_photo_has_all_its_results_or_none(photos, tmp_path, monkeypatch):
    target, write, count = tmp_path / 'out', Path.write_bytes, itertools.count()

    def fill_up(path, content):
        if next(count) > COUNT:
            raise OSError(28, 'No space left on device', str(path))
        write(path, content)

    monkeypatch.setattr(Path, 'write_bytes', fill_up)
    with pytest.raises(OutputError, match=r'out/\d\d_.*: cannot be written \(No space left'):
        matte(Predictor(), photos, target)
    left = Counter(file.name[:2] for file in target.iterdir())
    assert set(left.values()) == {2}
