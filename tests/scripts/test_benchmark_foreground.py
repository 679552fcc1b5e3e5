import re

import numpy as np
from PIL import Image

from tests.conftest import assert_one_line_error


def write_cutout(path, softness) -> None:
    alpha = np.clip((np.arange(48) - 12) / softness, 0, 1) * 255
    rgba = np.full((40, 48, 4), (220, 30, 20, 0), np.uint8)
    rgba[..., 3] = np.round(alpha)
    Image.fromarray(rgba).save(path)


def test_a_table_and_a_picture(run_script, tmp_path):
    for name in ('cutouts', 'places'):
        (tmp_path / name).mkdir()
    write_cutout(tmp_path / 'cutouts/soft.png', 20)
    write_cutout(tmp_path / 'cutouts/hard.png', 1)  # it has no soft pixel
    wall = np.full((30, 40, 3), (10, 40, 230), np.uint8)
    Image.fromarray(wall).save(tmp_path / 'places/a.png')
    process = run_script(
        'benchmark_foreground', '--foregrounds', tmp_path / 'cutouts', '--backgrounds',
        tmp_path / 'places', '--output', tmp_path / 'out', '--megapixels=0.1', '--rounds=1',
        '--peer=false',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    found = re.findall(r'^\| (\w.*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$',
                       process.stdout.decode(), re.M)  # fmt: skip
    rows = {name: [float(number) for number in numbers] for name, *numbers in found}
    assert list(rows) == ['estimate_foreground', "the photo's own"]
    ours, own = rows.values()
    assert ours[0] < 1 < own[0]
    assert own[1] == ours[2] == 1  # sizes are divided by its own, times by ours
    height, width, _ = np.asarray(Image.open(tmp_path / 'out/foreground.png')).shape
    assert height > 2 * 2 * 40
    assert width > 10 * 2 * 48


def test_a_folder_without_cutouts_is_one_line(run_script, tmp_path):
    Image.new('RGB', (20, 20)).save(tmp_path / 'a.png')
    process = run_script(
        'benchmark_foreground', '--nopeer', '--foregrounds', tmp_path, '--backgrounds', tmp_path,
        '--output', tmp_path / 'out',
    )  # fmt: skip
    assert_one_line_error(process, 'a.png')
