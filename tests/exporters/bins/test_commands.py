"""The whole loop, from the command line."""

import csv
import json
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from exporters.bins.index import create_layout
from exporters.bins.msame import run_bins
from exporters.bins.preparation import prepare_bins
from mattingjax import save_checkpoint
from tests.conftest import ROOT, assert_one_line_error, require_export_tools
from tests.exporters.bins.photos import NAMES, bins, compose_photos, evaluate, mean_mad, some


@pytest.mark.parametrize('outfmt', ['BIN', 'TXT'])
def test_the_loop(brightness, dataset, outfmt):
    folders = ['--images', dataset / 'photos', '--alphas', dataset / 'mattes']
    process = bins('prepare', '--artefact', brightness, *folders, '--output', dataset / 'bins')
    assert process.returncode == 0, process.stderr.decode()
    written = sorted(str(path.relative_to(dataset)) for path in dataset.glob('bins/**/*.*'))
    kinds = [f'bins/{folder}/{name}.bin' for folder in ('images', 'masks') for name in NAMES]
    assert written == sorted([*kinds, 'bins/index.json', 'bins/preview.png'])
    assert Image.open(dataset / 'bins' / 'preview.png').size == (3 * 40 + 8, 3 * 40 + 8)

    process = bins(
        'run', '--model', brightness, '--input', dataset / 'bins' / 'images',
        '--output', dataset / 'outputs', '--outfmt', outfmt, '--loop=2',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()
    lines = process.stdout.decode().splitlines()
    assert sum(bool(re.fullmatch(r'Inference time: \d+\.\d+ms', line)) for line in lines) == 6
    assert re.fullmatch(r'Inference average time without first time: \d+\.\d+ ms', lines[-2])
    assert any('device CPU (onnxruntime)' in line for line in lines)
    (folder,) = (dataset / 'outputs').iterdir()
    assert re.fullmatch(r'\d{8}_\d{6}', folder.name)
    suffix = outfmt.lower()
    assert sorted(os.listdir(folder)) == [f'{name}_output_0.{suffix}' for name in NAMES]

    report = dataset / 'reports' / 'report.json'
    process = evaluate(dataset / 'bins', dataset / 'outputs', '--report', report)
    assert process.returncode == 0, process.stderr.decode()
    assert b'mean of 3' in process.stdout
    content = json.loads(report.read_text())
    expected = mean_mad(dataset / 'bins', lambda images: images.mean(-1, keepdims=True) / 255)
    assert content['means']['mad'] == pytest.approx(expected, abs=1e-6)
    assert list(content['photos']) == NAMES
    with report.with_suffix('.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['name'] for row in rows] == NAMES
    assert set(rows[0]) == {
        'name', 'mad', 'mse', 'sad', 'gradient', 'mean_gradient', 'connectivity'
    }  # fmt: skip
    assert Image.open(report.with_name('report_worst.png')).width > 5 * 320


def test_the_loop_has_the_error_of_the_jax_network(toy, cutouts):
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint

    options = ExportOptions(formats=('pb',), verify=False)
    save_checkpoint(cutouts / 'toy', toy)
    export_checkpoint(cutouts / 'toy', cutouts / 'export', options)
    model = cutouts / 'export' / 'model.pb'
    samples = compose_photos(cutouts / 'cutouts', cutouts / 'places', 0)
    prepare_bins(samples, create_layout(model), cutouts / 'bins')
    run_bins(model, cutouts / 'bins' / 'images', cutouts / 'outputs')
    report = cutouts / 'report.json'
    process = evaluate(cutouts / 'bins', cutouts / 'outputs', '--report', report)
    assert process.returncode == 0, process.stderr.decode()

    # The same by a Python of its own, where TensorFlow is imported by the command alone.
    command = [sys.executable, '-m', 'exporters.bins', 'run', '--model', model]
    command += ['--input', cutouts / 'bins' / 'images', '--output', cutouts / 'again']
    process = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    assert (process.returncode, process.stderr) == (0, b'')

    expected = mean_mad(cutouts / 'bins', lambda images: toy.apply(images)['alpha'])
    assert abs(json.loads(report.read_text())['means']['mad'] - expected) < 1e-5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'expected prepare, run or evaluate as the first argument, got nothing'),
        (['evalute'], "got 'evalute' (did you mean evaluate?"),
        (['--model=a.onnx', 'run'], "got '--model=a.onnx'"),
        (['run', '--output=out'], '--model: a value is required'),
        (['run', '--model=none.onnx', '--output=out'], 'none.onnx: no such file'),
        (['run', '--model=README.md', '--output=out'], 'README.md: expected an artefact'),
        (['run', '--model=a.onnx', '--input=none', '--output=out'], 'none: no such file or folder'),
        (['run', '--model=a.onnx', '--output=README.md/out'], 'README.md: expected a folder'),
        (['run', '--model=a.onnx', '--output=out', '--loop=0'], 'loop'),
        (['run', '--modle=a.onnx', '--output=out'], 'did you mean --model?'),
        (['prepare', '--output=out'], '--images, --foregrounds: expected images and alphas'),
        (['prepare', '--output=out', '--images=.', '--backgrounds=.'], 'expected images and'),
        (['prepare', '--output=out', '--images=.', '--alphas=.'], 'both are needed without'),
    ],
)
def test_wrong_flags_are_one_line(arguments, message):
    assert_one_line_error(bins(*arguments), message)


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--help'], ['mattingjax bins prepare', 'turns photos and alphas', './msame']),
        (['prepare', '--help'], ['Turns photos into .bin files', '--mask_size']),
        (['run', '--help'], ['as Ascend', '--loop']),
        (['evaluate', '--help'], ['--outdtype', '--timestamp']),
    ],
)
def test_help(arguments, parts):
    process = bins(*arguments)
    assert process.returncode == 0
    assert process.stderr == b''
    for part in parts:
        assert part in process.stdout.decode()


def test_composites_of_the_shared_data(shared, brightness, tmp_path):
    folders = [shared / 'data' / name for name in ('portraits_rgba', 'backgrounds')]
    if not all(folder.is_dir() for folder in folders):
        pytest.skip('no portraits')
    samples = some(compose_photos(*folders, 0), 40)
    layout = create_layout(brightness)
    prepare_bins(samples, layout, tmp_path / 'bins')
    run_bins(brightness, tmp_path / 'bins' / 'images', tmp_path / 'outputs')
    report = tmp_path / 'report.json'
    process = evaluate(tmp_path / 'bins', tmp_path / 'outputs', '--report', report)
    assert process.returncode == 0, process.stderr.decode()
    expected = mean_mad(tmp_path / 'bins', lambda images: images.mean(-1, keepdims=True) / 255)
    assert abs(json.loads(report.read_text())['means']['mad'] - expected) < 1e-5
