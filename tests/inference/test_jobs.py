import sys

import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError
from mattingjax.inference import jobs
from mattingjax.inference.jobs import list_jobs
from mattingjax.inference.outputs import Outputs


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Writes photos at paths below the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / name)
        return tmp_path

    return write


def targets(folder, *inputs, **options):
    found, _ = list_jobs([folder / name for name in inputs], folder / 'out', Outputs(**options))
    return sorted(str(job.target.relative_to(folder / 'out')) for job in found)


def test_results_lie_where_their_photos_lay(photos):
    folder = photos('in/a.png', 'in/sub/b.jpg', 'c.png')
    assert targets(folder, 'in', 'c.png') == ['a', 'c', 'sub/b']


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['a.jpg', 'a.png'], ['a.jpg', 'a.png']),
        (['a.jpg', 'a.png', 'a.jpg.png'], ['a.jpg', 'a.jpg.png', 'a.png']),
        (['a.jpg', 'a.jpg.png'], ['a', 'a.jpg.png']),
        (['a.b.jpg', 'a.c.jpg'], ['a.b', 'a.c']),
    ],
)
def test_extensions_stay_where_results_would_be_the_same(photos, names, expected):
    folder = photos(*(f'in/{name}' for name in names))
    assert targets(folder, 'in') == expected


def test_a_photo_that_is_named_in_two_ways_is_one(photos):
    folder = photos('a.jpg')
    found, _ = list_jobs(
        [folder / 'a.jpg', (folder / 'a.jpg').relative_to(folder), folder / 'x' / '..' / 'a.jpg'],
        folder / 'out',
        Outputs(),
    )
    assert len(found) == 1


def test_no_photo_is_replaced_by_a_result(photos):
    folder = photos('d/a.jpg', 'd/a_alpha.png')
    with pytest.raises(MattingError, match=r'd/a_alpha.png: would be replaced by .*a.jpg'):
        list_jobs([folder / 'd' / 'a.jpg', folder / 'd' / 'a_alpha.png'], folder / 'd', Outputs())
    (folder / 'link').symlink_to(folder / 'd')
    with pytest.raises(MattingError, match='would be replaced'):
        list_jobs([folder / 'd/a.jpg', folder / 'd/a_alpha.png'], folder / 'link', Outputs())
    list_jobs([folder / 'd' / 'a.jpg', folder / 'd' / 'a_alpha.png'], folder / 'e', Outputs())
    list_jobs([folder / 'd/a.jpg', folder / 'd/a_alpha.png'], folder / 'd', Outputs(('panel',)))


def test_macs_and_windows_know_no_case(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert jobs._key('IMG') == jobs._key('img')
    assert jobs._key('e\u0301') == jobs._key('\u00e9')
    monkeypatch.setattr(sys, 'platform', 'linux')
    assert jobs._key('IMG') != jobs._key('img')
