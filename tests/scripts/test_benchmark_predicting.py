import re

import numpy as np
from PIL import Image

from tests.conftest import assert_one_line_error


def test_every_case_is_timed(run_script, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    process = run_script(
        'benchmark_predicting', '--images', tmp_path, '--checkpoint=mmnet_0.5', '--photos=2',
        '--runtimes=onnxruntime', '--cases=photo,folder,network', '--rounds=1',
        '--peer=import json',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    rows = re.findall(r'^(.+?) +([\d.]+)s +([\d.]+)s$', process.stdout.decode(), re.M)
    assert [row[0] for row in rows] == [
        'import json',
        'photo, alpha, onnxruntime',
        'photo, all, onnxruntime',
        'folder, alpha, onnxruntime',
        'folder, all, onnxruntime',
        'folder, network',
        'network, first, onnxruntime',
        'network, after 100, onnxruntime',
    ]
    assert all(float(clock) > 0 for _, clock, _ in rows)


def test_unknown_cases_are_told(run_script, tmp_path):
    process = run_script('benchmark_predicting', '--images', tmp_path, '--cases=foto')
    assert_one_line_error(
        process, '--cases: expected some of photo, large, folder, network, got foto'
    )
    process = run_script('benchmark_predicting', '--images', tmp_path, '--runtimes=abacus')
    assert_one_line_error(process, '--runtimes: expected some of ', 'got abacus')
