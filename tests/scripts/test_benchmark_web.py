import re
import shutil

import pytest
from PIL import Image

from tests.conftest import assert_one_line_error
from tests.exporters.web.conftest import load_or_skip, write_shipped


@pytest.fixture
def photo(tmp_path):
    skimage = pytest.importorskip('skimage.data')
    path = tmp_path / 'photo.png'
    Image.fromarray(skimage.astronaut()).resize((320, 320)).save(path)
    return path


@pytest.mark.skipif(shutil.which('chromium') is None, reason='no Chromium on PATH')
def test_the_browser_is_timed_against_the_library(run_script, tmp_path, photo):
    pytest.importorskip('playwright', reason='playwright is not installed')
    write_shipped(tmp_path / 'web', 'mmnet_0.5', load_or_skip())
    options = ('--page', tmp_path / 'web', '--photo', photo, '--rounds=1')
    process = run_script('benchmark_web', *options)
    assert process.returncode == 0, process.stderr.decode()
    first, *rows = process.stdout.decode().splitlines()
    assert re.fullmatch(r'In this browser, (1 thread|\d threads)', first)
    pattern = r'  (\w+) +([\d.]+) ms in the browser +([\d.]+) ms by the library +([\d.]+)'
    found = [re.fullmatch(pattern, row) for row in rows]
    assert [match[1] for match in found] == ['alpha', 'frame', 'cutout']
    for match in found:
        theirs, ours, ratio = map(float, match.groups()[1:])
        assert ratio == pytest.approx(theirs / ours, rel=0.05)


def test_a_folder_without_a_page_is_told(run_script, tmp_path, photo):
    process = run_script('benchmark_web', '--page', tmp_path, '--photo', photo)
    assert_one_line_error(process, 'model.onnx')
