import re

import numpy as np
from PIL import Image

from tests.conftest import assert_one_line_error


def test_every_kind_and_format_is_measured(run_script, mmnet_path, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    options = ('--checkpoint', mmnet_path, '--megapixels=0.02', '--rounds=1')
    process = run_script('benchmark_encoding', '--images', tmp_path, *options)
    assert process.returncode == 0, process.stderr.decode()
    rows = re.findall(r'^(\w+) +(\w+) +([\d.]+) +([\d.]+)$', process.stdout.decode(), re.M)
    kinds = {kind: [row[1] for row in rows if row[0] == kind] for kind, *_ in rows}
    assert kinds == {
        'alpha': ['Pillow', 'png'],
        'cutout': ['Pillow', 'png', 'webp'],
        'composite': ['Pillow', 'png', 'webp', 'jpg'],
        'panel': ['Pillow', 'png'],
    }
    assert {row[2:] for row in rows if row[1] == 'Pillow'} == {('1.00', '1.00')}


def test_a_folder_without_photos_is_told(run_script, tmp_path):
    process = run_script('benchmark_encoding', '--images', tmp_path)
    assert_one_line_error(process, f'{tmp_path}: holds no picture')
