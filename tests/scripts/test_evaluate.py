import csv
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor, load_image
from mattingjax.evaluation.metrics import mad
from tests.conftest import assert_one_line_error

NAMES = ['a', 'b']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Photos and alphas, cut-outs and a background, and mattes that are all half transparent."""
    folder = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for name in ('photos', 'alphas', 'cutouts', 'places', 'mattes', 'empty'):
        (folder / name).mkdir()
    for name in NAMES:
        rgba = rng.integers(0, 256, (48, 40, 4), dtype=np.uint8)
        Image.fromarray(rgba[..., :3]).save(folder / 'photos' / f'{name}.png')
        Image.fromarray(rgba[..., 3]).save(folder / 'alphas' / f'{name}.png')
        Image.fromarray(rgba).save(folder / 'cutouts' / f'{name}.png')
        Image.new('L', (40, 48), 128).save(folder / 'mattes' / f'{name}.png')
    Image.new('RGB', (40, 48), 'green').save(folder / 'places' / 'green.png')
    return folder


@pytest.fixture
def evaluate(run_script):
    return lambda *arguments: run_script('evaluate', *arguments)


def load_grey(path):
    return load_image(path)[..., 0].astype(np.float32) / 255


def test_a_checkpoint(evaluate, data, mmnet_path, tmp_path):
    output = tmp_path / 'out' / 'report.json'
    process = evaluate(
        '--checkpoint', mmnet_path, '--images', data / 'photos', '--alphas', data / 'alphas',
        '--output', output,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    # On a slow machine it tells how far it is.
    assert re.fullmatch(rb'(evaluating: .*\n)*', process.stderr)
    text = process.stdout.decode()
    for part in ('network: checkpoint', "compared at: the photo's own size", 'whole image',
                 'unknown region', 'soft band', 'connectivity: sum of', 'mean of 2'):  # fmt: skip
        assert part in text
    assert text.splitlines()[-1] == str(output)
    assert sorted(os.listdir(output.parent)) == ['report.csv', 'report.json', 'report_worst.png']

    content = json.loads(output.read_text())
    predictor = create_predictor(mmnet_path)
    for name in NAMES:
        pred = predictor(load_image(data / 'photos' / f'{name}.png'))
        expected = mad(pred, load_grey(data / 'alphas' / f'{name}.png'))
        assert content['photos'][name]['mad'] == pytest.approx(expected, rel=1e-5)
    with output.with_suffix('.csv').open() as file:
        assert [row['name'] for row in csv.DictReader(file)] == NAMES


def test_a_folder_of_mattes(evaluate, data, tmp_path):
    arguments = [
        '--predictions', data / 'mattes', '--alphas', data / 'alphas', '--metrics=mad',
        '--regions=whole', '--worst=0', '--output', tmp_path / 'report.json',
    ]  # fmt: skip
    process = evaluate(*arguments)
    assert process.returncode == 0, process.stderr.decode()
    assert sorted(os.listdir(tmp_path)) == ['report.csv', 'report.json']
    content = json.loads((tmp_path / 'report.json').read_text())
    for name in NAMES:
        alpha = load_grey(data / 'alphas' / f'{name}.png')
        expected = pytest.approx(np.abs(alpha - 128 / 255).mean(), rel=1e-5)
        assert content['photos'][name] == {'mad': expected}
    assert_one_line_error(evaluate(*arguments), 'report.json: a report lies there already')
    assert evaluate(*arguments, '--overwrite').returncode == 0


def test_composites_at_a_given_size(evaluate, data):
    process = evaluate(
        '--predictions', data / 'mattes', '--foregrounds', data / 'cutouts', '--backgrounds',
        data / 'places', '--seed=7', '--size=80x60', '--trimap_kernel=2', '--trimap_iterations=1',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    text = process.stdout.decode()
    for part in ('seed 7', 'dealt out in turn', '80 by 60 pixels', 'ellipse of 2 pixels, 1 times'):
        assert part in text


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], '--images, --foregrounds: expected images and alphas, or foregrounds'),
        (['--alphas=alphas', '--predictions=empty'], 'empty: holds no picture'),
        (['--alphas=alphas', '--predictions=places'], 'places: no matte for 2 of 2 (a, b)'),
        (['--images=photos', '--alphas=alphas', '--checkpoint=nosuch'], 'nosuch: not a checkpoint'),
        (['--metrics=mad,psnr'], 'metrics: expected some of mad, mse'),
        (['--metrcs=mad'], 'did you mean --metrics?'),
        (
            ['--size=big'],
            "--size: expected photo, network or height x width, as 800x600, got 'big'",
        ),
        (
            ['--alphas=alphas', '--predictions=mattes', '--output=mattes/a.png/out.json'],
            'a.png: expected a folder to write to, found a file',
        ),
        (
            ['--alphas=alphas', '--predictions=mattes', '--output=mattes/out.json'],
            'out.json: expected a place outside of',
        ),
    ],
)
def test_bad_input_is_one_line(evaluate, data, arguments, message):
    folders = {'images', 'alphas', 'predictions', 'output'}
    absolute = []
    for argument in arguments:
        name, _, value = argument.removeprefix('--').partition('=')
        absolute.append(f'--{name}={data / value}' if name in folders else argument)
    assert_one_line_error(evaluate(*absolute), message)


def test_help(evaluate):
    process = evaluate('--help')
    assert process.returncode == 0
    assert b'with the true alphas' in process.stdout
    assert b'--trimap_iterations' in process.stdout
