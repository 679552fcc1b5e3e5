import re

import numpy as np
from PIL import Image

from tests.conftest import assert_one_line_error


def test_a_server_is_timed_beside_the_folder_command(run_script, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    process = run_script(
        'benchmark_serving', '--images', tmp_path, '--checkpoint=mmnet_0.5', '--requests=12',
        '--parallel=4', '--rounds=1',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    first, *lines = process.stdout.decode().splitlines()
    assert re.fullmatch(r'start to first answer \d\.\d\d s', first)
    assert [line.partition(':')[0] for line in lines] == ['alpha', 'cutout']
    for line in lines:
        assert 'statuses: 12 of 200;' in line
        assert re.search(r'memory \d+ MB after the warm-up, \d+ MB in the end', line)


def test_wrong_kinds_and_folders_are_told(run_script, tmp_path):
    process = run_script('benchmark_serving', '--images', tmp_path, '--kinds=panel')
    assert_one_line_error(process, '--kinds: expected some of alpha, cutout, got panel')
    process = run_script('benchmark_serving', '--images', tmp_path)
    assert_one_line_error(process, 'holds no picture')
