import json
import re

import numpy as np
import pytest
from PIL import Image

from mattingjax.weights import find_artefact
from tests.conftest import assert_one_line_error


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for folder, mode in (('photos', 'RGB'), ('alphas', 'L')):
        (tmp_path / folder).mkdir()
        pixels = rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(tmp_path / folder / 'a.png')
    return tmp_path


def test_a_table_a_picture_and_figures(run_script, photos):
    process = run_script(
        'benchmark', '--models', find_artefact('mmnet_0.5'), '--runtimes=onnxruntime',
        '--rounds=1', '--images', photos / 'photos', '--alphas', photos / 'alphas',
        '--output', photos / 'out',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    row = process.stdout.decode().splitlines()[-1]
    (figures,) = json.loads((photos / 'out/benchmark.json').read_text())['networks']
    mad = f'{100 * figures["photos"]["mad"]:.3f}'
    assert re.match(r'\| model_dynamic.onnx \| onnxruntime \| f32 \| FP32 \|', row)
    assert f'| {mad} |' in row
    assert row.endswith('| 1.000 |')
    assert Image.open(photos / 'out/benchmark.png').size == (770, 1144)


def test_wrong_flags_are_told(run_script, photos):
    model = find_artefact('mmnet_0.5')
    for given, message in (
        (['--runtimes=abacus'], '--runtimes: expected some of openvino, '),
        (['--size=big'], "--size: expected height x width, as 800x600, got 'big'"),
        (['--images', photos], 'expected images and alphas, or foregrounds and backgrounds'),
    ):
        process = run_script('benchmark', '--models', model, *given)
        assert_one_line_error(process, message)
    process = run_script('benchmark', '--models', model, '--precisions=f8')
    assert_one_line_error(process, '--precisions: expected some of f32, bf16, f16, got f8')
