import csv
import dataclasses
import functools
import hashlib
import json
import math
import operator
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporters.bins.evaluation import evaluate_bins
from exporters.bins.files import load_input, load_mask
from exporters.bins.index import create_layout, read_index
from exporters.bins.msame import format_values, run_bins
from exporters.bins.outputs import Encoding, find_outputs, load_output
from exporters.bins.preparation import prepare_bins
from mattingjax import Predictor
from mattingjax.data.folders import FileDataset
from mattingjax.data.records import RecordError
from mattingjax.errors import ArtefactError, MattingError, OutputError
from mattingjax.evaluation import Folders
from mattingjax.evaluation.metrics import mad
from mattingjax.inference.signature import Signature
from mattingjax.networks import Preprocessing
from tests.conftest import assert_one_line_error, require_export_tools, run_module

SIZE = 32
NAMES = ['a', 'b', 'c d']


def pair_photos(images: Path, alphas: Path) -> FileDataset:
    return Folders(images=images, alphas=alphas).open()


def compose_photos(foregrounds: Path, backgrounds: Path, seed: int) -> FileDataset:
    return Folders(foregrounds=foregrounds, backgrounds=backgrounds, seed=seed).open()


def some(dataset: FileDataset, every: int) -> FileDataset:
    return dataclasses.replace(dataset, entries=dataset.entries[::every])


def bins(*arguments):
    return run_module('exporters.bins', *arguments)


def signature(**changes) -> Signature:
    preprocessing = Preprocessing((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), 'exact', 16)
    fields = {
        'input_name': 'input',
        'output_name': 'output',
        'shape': (1, SIZE, SIZE, 3),
        'dtype': 'float32',
        'scaling_inside': True,
        'colour_order': 'RGB',
        'resize_inside': False,
        'input_size': SIZE,
        'preprocessing': preprocessing,
    }
    return Signature(**fields | changes)


def write_manifest(folder, **changes):
    """An artefact as far as `prepare` looks at it: a file, and its signature beside it."""
    folder.mkdir(exist_ok=True)
    content = {'artefacts': {'model.onnx': {'signature': signature(**changes).to_dict()}}}
    (folder / 'manifest.json').write_text(json.dumps(content))
    (folder / 'model.onnx').touch()
    return folder / 'model.onnx'


@pytest.fixture(scope='module')
def brightness(tmp_path_factory):
    """A network whose alpha is the brightness of the photo."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    from onnx import TensorProto, helper

    path = write_manifest(tmp_path_factory.mktemp('brightness'))
    graph = helper.make_graph(
        [
            helper.make_node('ReduceMean', ['input', 'axes'], ['mean'], keepdims=1),
            helper.make_node('Div', ['mean', 'top'], ['output']),
        ],
        'brightness',
        [helper.make_tensor_value_info('input', TensorProto.FLOAT, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info('output', TensorProto.FLOAT, [1, SIZE, SIZE, 1])],
        [
            helper.make_tensor('axes', TensorProto.INT64, [1], [3]),
            helper.make_tensor('top', TensorProto.FLOAT, [], [255]),
        ],
    )
    opset = helper.make_opsetid('', 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


@pytest.fixture
def dataset(tmp_path):
    """Photos and alphas of several sizes."""
    rng = np.random.default_rng(0)
    for folder in ('photos', 'mattes'):
        (tmp_path / folder).mkdir()
    for i, name in enumerate(NAMES):
        size = 40 + 9 * i, 70 - 21 * i
        photo = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / 'photos' / f'{name}.png')
        alpha = rng.integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(alpha).save(tmp_path / 'mattes' / f'{name}.tif')
    return tmp_path


@pytest.fixture
def prepared(dataset):
    """The dataset as .bin files, and where."""
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    prepare_bins(samples, create_layout(height=SIZE, width=SIZE), dataset / 'bins')
    return dataset / 'bins'


@pytest.fixture
def outputs(prepared):
    """Results for the dataset: its own masks, a little darker, of two runs."""
    index = read_index(prepared)
    for stamp, factor in (('20260101_235959_9', 0.5), ('20260101_235959_10', 0.9)):
        folder = prepared.parent / 'outputs' / stamp
        folder.mkdir(parents=True)
        for item in index.items:
            mask = load_mask(prepared, item, index.layout)
            (folder / f'{item.name}_output_0.bin').write_bytes((mask * factor).tobytes())
    return prepared.parent / 'outputs'


def evaluate(prepared, outputs, *arguments):
    return bins('evaluate', '--output', outputs, '--index', prepared, *arguments)


def mean_mad(prepared, predict) -> float:
    """The mean absolute difference of a function of inputs, computed without the loop."""
    index = read_index(prepared)
    return np.mean(
        [
            mad(
                np.asarray(predict(load_input(prepared, item, index.layout)))[0, ..., 0],
                load_mask(prepared, item, index.layout)[0, ..., 0],
            )
            for item in index.items
        ]
    )


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


@pytest.fixture
def cutouts(tmp_path):
    """Transparent pictures with soft edges, and backgrounds; fewer of them."""
    rng = np.random.default_rng(1)
    for folder in ('cutouts', 'places'):
        (tmp_path / folder).mkdir()
    for name in 'vwxyz':
        rgba = rng.integers(0, 256, (50, 60, 4), dtype=np.uint8)
        Image.fromarray(rgba).save(tmp_path / 'cutouts' / f'{name}.png')
    for i in range(2):
        place = rng.integers(0, 256, (70, 50 + i, 3), dtype=np.uint8)
        Image.fromarray(place).save(tmp_path / 'places' / f'{i}.png')
    return tmp_path


def test_the_loop_has_the_error_of_the_jax_network(mmnet, mmnet_path, cutouts):
    require_export_tools()
    from exporters.export import ExportOptions, export_checkpoint

    options = ExportOptions(formats=('pb',), verify=False)
    export_checkpoint(mmnet_path, cutouts / 'export', options)
    model = cutouts / 'export' / 'model.pb'
    samples = compose_photos(cutouts / 'cutouts', cutouts / 'places', 0)
    prepare_bins(samples, create_layout(model), cutouts / 'bins')
    run_bins(model, cutouts / 'bins' / 'images', cutouts / 'outputs')
    report = cutouts / 'report.json'
    process = evaluate(cutouts / 'bins', cutouts / 'outputs', '--report', report)
    assert process.returncode == 0, process.stderr.decode()

    expected = mean_mad(cutouts / 'bins', lambda images: mmnet.apply(images)['alpha'])
    assert abs(json.loads(report.read_text())['means']['mad'] - expected) < 1e-5


class _Recorder:
    """A runtime that keeps what it is fed."""

    input_size, fixed_size, resizes = SIZE, (SIZE, 48), False
    preprocessing = signature().preprocessing

    def __call__(self, images):
        self.images = images
        return images[..., :1] / 255


def test_inputs_are_what_the_predictor_feeds(dataset):
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    index = prepare_bins(samples, create_layout(height=SIZE, width=48), dataset / 'bins')
    for record, item in zip(map(samples.__getitem__, range(3)), index.items, strict=True):
        recorder = _Recorder()
        Predictor(recorder)(record['image'])
        images = load_input(dataset / 'bins', item, index.layout)
        np.testing.assert_array_equal(images, recorder.images)
        assert item.size == record['image'].shape[:2]


def test_inputs_are_scaled_where_the_artefact_does_not(dataset):
    preprocessing = Preprocessing((100.0, 110.0, 120.0), (50.0, 60.0, 70.0), 'exact', 16)
    unscaled = {'scaling_inside': False, 'preprocessing': preprocessing}
    artefact = write_manifest(dataset / 'export', **unscaled)
    samples = some(pair_photos(dataset / 'photos', dataset / 'mattes'), 3)

    def prepare(name, **options):
        layout = create_layout(artefact, **options)
        index = prepare_bins(samples, layout, dataset / name)
        return load_input(dataset / name, index.items[0], layout)

    # AIPP scales uint8 itself.
    pixels = prepare('uint8', dtype='uint8')
    assert pixels.dtype == np.uint8
    scaled = prepare('float32')
    assert scaled.dtype == np.float32
    restored = scaled * np.float32([50, 60, 70]) + np.float32([100, 110, 120])
    np.testing.assert_allclose(restored, pixels, atol=0.501)
    assert np.ptp(restored) > 50


def test_blue_comes_first_where_the_artefact_wants_it(dataset):
    samples = some(pair_photos(dataset / 'photos', dataset / 'mattes'), 3)
    inputs = {}
    for order in ('RGB', 'BGR'):
        layout = create_layout(write_manifest(dataset / 'export', colour_order=order))
        index = prepare_bins(samples, layout, dataset / order)
        inputs[order] = load_input(dataset / order, index.items[0], layout)
    np.testing.assert_array_equal(inputs['RGB'][..., ::-1], inputs['BGR'])
    previews = [(dataset / order / 'preview.png').read_bytes() for order in inputs]
    assert previews[0] == previews[1]


def test_cutouts_lie_on_backgrounds_in_turn(cutouts):
    folders = cutouts / 'cutouts', cutouts / 'places'
    samples = compose_photos(*folders, 3)
    assert [entry.name for entry in samples.entries] == list('vwxyz')

    def backgrounds(seed: int) -> list[str]:
        entries = compose_photos(*folders, seed).entries
        return [entry.files['background'].name for entry in entries]

    used = backgrounds(3)
    assert used == [entry.files['background'].name for entry in samples.entries]
    assert used[0] == used[2] == used[4] != used[1] == used[3]
    assert len({backgrounds(seed)[0] for seed in range(9)}) == 2

    image, alpha = samples[0]['image'], samples[0]['alpha']
    rgba = np.asarray(Image.open(samples.entries[0].files['foreground']))
    np.testing.assert_array_equal(alpha, np.float32(rgba[..., 3]) / 255)
    np.testing.assert_array_equal(image[alpha == 1], rgba[alpha == 1][:, :3])


def test_masks_of_another_size(dataset):
    folders = ['--images', dataset / 'photos', '--alphas', dataset / 'mattes']
    size = ['--height=32', '--width=48', '--mask_size=60x80']
    process = bins('prepare', *folders, *size, '--output', dataset / 'bins')
    assert process.returncode == 0, process.stderr.decode()
    for name in NAMES:
        assert (dataset / 'bins' / 'images' / f'{name}.bin').stat().st_size == 32 * 48 * 3 * 4
        assert (dataset / 'bins' / 'masks' / f'{name}.bin').stat().st_size == 60 * 80 * 4
    (dataset / 'outputs').mkdir()
    for name in NAMES:
        values = np.full((1, 32, 48, 1), 0.25, np.float16)
        (dataset / 'outputs' / f'{name}_output_0.bin').write_bytes(values.tobytes())
    process = evaluate(dataset / 'bins', dataset / 'outputs', '--timestamp=.')
    assert process.returncode == 0, process.stderr.decode()
    assert b'float16 of 1 channel, compared at 60 by 80 pixels' in process.stdout


def test_any_size_needs_flags(tmp_path):
    artefact = write_manifest(tmp_path / 'export', shape=(0, 0, 0, 3))
    assert create_layout(artefact, height=64, width=96).input_shape == (1, 64, 96, 3)
    with pytest.raises(MattingError, match=r'height, width: both .* takes any size'):
        create_layout(artefact, height=64)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'shape': (2, SIZE, SIZE, 3)}, 'takes 2 photos at once'),
        ({'shape': (1, 0, 0, 3), 'resize_inside': True}, 'resizes photos itself'),
    ],
)
def test_artefacts_that_take_no_bins(tmp_path, changes, message):
    with pytest.raises(ArtefactError, match=message):
        create_layout(write_manifest(tmp_path / 'export', **changes))


def test_nothing_is_left_of_a_preparation_that_failed(dataset):
    (dataset / 'photos' / 'b.png').write_bytes(b'')
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    with pytest.raises(RecordError, match=r'b\.png: not a picture'):
        prepare_bins(samples, create_layout(height=SIZE, width=SIZE), dataset / 'bins')
    assert sorted(os.listdir(dataset)) == ['mattes', 'photos']


def test_names_are_told_apart_by_more_than_their_composition(tmp_path):
    halves = np.repeat(np.uint8([[0, 255]]), 10, axis=1).repeat(20, axis=0)
    for folder, pixels in (('images', np.dstack([halves] * 3)), ('alphas', halves)):
        for below, name in (('x', '\u00e9'), ('y', 'e\u0301')):
            (tmp_path / folder / below).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / folder / below / f'{name}.png')
    samples = pair_photos(tmp_path / 'images', tmp_path / 'alphas')
    with pytest.raises(MattingError, match=r'has the name of .*folders do not tell them apart'):
        prepare_bins(samples, create_layout(height=SIZE, width=SIZE), tmp_path / 'bins')


def test_names_leave_room_for_those_of_the_outputs(brightness, dataset, prepared):
    name = 'n' * (256 - len('_output_0.bin'))
    message = 'expected a name of at most 242 bytes, .* found 243'
    for file in ('photos/b.png', 'mattes/b.tif'):
        (dataset / file).rename((dataset / file).with_stem(name))
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    with pytest.raises(OutputError, match=message):
        prepare_bins(samples, create_layout(height=SIZE, width=SIZE), dataset / 'others')
    (dataset / 'loose').mkdir()
    file = (prepared / 'images' / 'b.bin').rename(dataset / 'loose' / f'{name}.bin')
    with pytest.raises(OutputError, match=message):
        run_bins(brightness, file.parent, dataset / 'outputs')
    assert not (dataset / 'outputs').exists()
    file.rename(file.with_stem(name[1:]))
    folder = run_bins(brightness, file.parent, dataset / 'outputs').folder
    assert (folder / f'{name[1:]}_output_0.bin').is_file()


def test_only_a_preparation_is_overwritten(dataset, prepared):
    layout = create_layout(height=SIZE, width=SIZE)
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    with pytest.raises(OutputError, match='a preparation lies there already'):
        prepare_bins(samples, layout, prepared)
    (prepared / 'outputs').mkdir()
    prepare_bins(samples, layout, prepared, overwrite=True)
    assert not (prepared / 'outputs').exists()
    with pytest.raises(OutputError, match='the folder is not empty'):
        prepare_bins(samples, layout, dataset / 'photos', overwrite=True)
    (dataset / 'photos' / 'index.json').write_text('{}')
    with pytest.raises(MattingError, match=r'index\.json: index\.items: missing'):
        prepare_bins(samples, layout, dataset / 'photos', overwrite=True)
    assert (dataset / 'photos' / 'a.png').is_file()


def test_sources_are_not_overwritten(dataset, prepared):
    (dataset / 'photos').rename(prepared / 'photos')
    samples = pair_photos(prepared / 'photos', dataset / 'mattes')
    layout = create_layout(height=SIZE, width=SIZE)
    with pytest.raises(OutputError, match=r'would be replaced, but .*a\.png lies in it'):
        prepare_bins(samples, layout, prepared, overwrite=True)


def test_results_do_not_lie_among_the_photos(dataset):
    process = bins(
        'prepare', '--height=32', '--width=32', '--images', dataset / 'photos',
        '--alphas', dataset / 'mattes', '--output', dataset / 'photos' / 'bins',
    )  # fmt: skip
    assert_one_line_error(process, 'photos/bins: expected a place outside of')


def test_zeros_and_a_single_file(brightness, prepared, capsys):
    folder = run_bins(brightness, None, prepared / 'zeros', loop=3).folder
    assert os.listdir(folder) == ['model_output_0.bin']  # named after the model, as msame does
    assert capsys.readouterr().out.count('Inference time: ') == 3
    assert not np.fromfile(folder / 'model_output_0.bin', np.float32).any()
    source = prepared / 'images' / 'a.bin'
    summary = run_bins(brightness, source, prepared / 'one')
    assert os.listdir(summary.folder) == ['model_output_0.bin']
    assert 'without first time' not in capsys.readouterr().out


def test_runs_of_one_second_have_folders_of_their_own(brightness, tmp_path, monkeypatch):
    monkeypatch.setattr('time.strftime', lambda _: '20260102_030405')
    folders = [run_bins(brightness, None, tmp_path).folder for _ in range(3)]
    assert [folder.name for folder in folders] == [
        '20260102_030405', '20260102_030405_1', '20260102_030405_2'
    ]  # fmt: skip
    assert find_outputs(tmp_path) == folders[2]
    assert sorted(os.listdir(tmp_path)) == [folder.name for folder in folders]


def test_an_unknown_format_is_refused(brightness, tmp_path):
    with pytest.raises(MattingError, match="outfmt: expected one of BIN, TXT, got 'CSV'"):
        run_bins(brightness, None, tmp_path / 'outputs', outfmt='CSV')
    assert not (tmp_path / 'outputs').exists()


def test_nothing_is_left_of_a_run_that_failed(brightness, prepared, monkeypatch):
    def fail(*_):
        raise RuntimeError('in node:\nno kernel')

    monkeypatch.setattr('onnxruntime.InferenceSession.run', fail)
    with pytest.raises(ArtefactError, match=r'model\.onnx: ONNX Runtime cannot run it .no kernel'):
        run_bins(brightness, prepared / 'images', prepared / 'outputs')
    assert os.listdir(prepared / 'outputs') == []


def test_text_loses_nothing(tmp_path):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float16):
        values = rng.uniform(0, 1, (1, 9, 23, 1)).astype(dtype)
        values[0, 0, :3, 0] = [0, 1, 1e-7]
        (tmp_path / 'a.txt').write_text(format_values(values))
        alpha, encoding = load_output(tmp_path / 'a.txt', (9, 23))
        np.testing.assert_array_equal(alpha, values[0, ..., 0].astype(np.float32))
        assert encoding == Encoding(1, 'text')
    lines = (tmp_path / 'a.txt').read_text().splitlines()
    assert [len(line.split()) for line in lines] == [100, 100, 7]


@pytest.mark.parametrize(
    ('dtype', 'channels', 'given'),
    [
        ('float32', 1, {'channels': 1}),
        ('float32', 1, {'dtype': 'float32'}),
        ('float32', 2, {}),
        ('float16', 1, {}),
        ('float16', 2, {'channels': 2}),
        ('float16', 2, {'dtype': 'float16'}),
    ],
)
def test_encodings(tmp_path, dtype, channels, given):
    alpha = np.random.default_rng(0).uniform(0, 1, (12, 10)).astype(dtype)
    values = np.stack([1 - alpha, alpha][2 - channels :], axis=-1)
    path = tmp_path / 'a_output_0.bin'
    path.write_bytes(values.tobytes())
    found, encoding = load_output(path, (12, 10), **given)
    np.testing.assert_array_equal(found, alpha.astype(np.float32))
    assert encoding == Encoding(channels, dtype)
    path = tmp_path / 'a_output_0.txt'
    path.write_text(format_values(values))
    np.testing.assert_array_equal(load_output(path, (12, 10))[0], alpha.astype(np.float32))


@pytest.mark.parametrize(
    ('name', 'content', 'given', 'message'),
    [
        ('a.bin', bytes(480), {}, '480 bytes may be float32 of 1 channel or float16 of 2 channels'),
        ('a.bin', bytes(400), {}, r'expected 240 bytes \(float16 of 1 channel\) or .*, found 400'),
        ('a.bin', bytes(960), {'channels': 1}, r'240 .* or 480 bytes .*, found 960'),
        ('a.bin', b'\xff' * 480, {'channels': 1}, 'found nan to nan: damaged'),
        ('a.bin', b'\x7f' * 240, {}, 'not float16 of 1 channel'),
        ('a.bin', bytes(960), {}, 'two channels whose sum is 1'),
        ('a.txt', b'0 ' * 119, {}, r'120 values \(text of 1 channel\) or 240 .*, found 119'),
        ('a.txt', b'0 ' * 119 + b'0.1', {}, 'ends within a value'),
        ('a.txt', b'0 ' * 119 + b'O ', {}, "expected numbers, found 'O'"),
        ('a.txt', b'0 ' * 119 + b'0.1.1 ', {}, r'a.txt: expected .*numbers'),
        ('a.txt', b'1\t ' * 1000, {}, 'or 240 .*, found 1000'),
        ('a.txt', b' ' * (2 * 120 * 32 + 1), {}, 'expected at most 7680 bytes, found 7681'),
        ('a.txt', b' ' * (120 * 32 + 1), {'channels': 1}, 'expected at most 3840 bytes'),
        ('a.txt', b'', {}, 'found 0'),
    ],
)
def test_outputs_that_cannot_be_read(tmp_path, name, content, given, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MattingError, match=message):
        load_output(tmp_path / name, (12, 10), **given)


def test_the_newest_run_counts(prepared, outputs):
    for arguments, factor in (((), 0.9), (('--timestamp=20260101_235959_9',), 0.5)):
        report = prepared.parent / 'report.json'
        flags = ('--outdtype=float32', '--report', report)
        process = evaluate(prepared, outputs, *arguments, *flags)
        assert process.returncode == 0, process.stderr.decode()
        expected = mean_mad(prepared, lambda images: np.zeros((1, SIZE, SIZE, 1))) * (1 - factor)
        assert json.loads(report.read_text())['means']['mad'] == pytest.approx(expected, rel=1e-5)


NEWEST = '20260101_235959_10'
BREAKAGES = {
    'truncated output': (
        lambda root: os.truncate(root / 'outputs' / NEWEST / 'b_output_0.bin', 4000),
        ['b_output_0.bin: expected 2048 bytes (float16 of 1 channel) or 4096', 'found 4000'],
    ),
    'half an output': (
        lambda root: (root / 'outputs' / NEWEST / 'b_output_0.bin').write_bytes(bytes(2048)),
        ['b_output_0.bin: float16 of 1 channel by its size, but a_output_0.bin is float32'],
    ),
    'a missing output': (
        lambda root: (root / 'outputs' / NEWEST / 'b_output_0.bin').unlink(),
        ['expected 3 outputs', 'found 2; there is none for b'],
    ),
    'one output too many': (
        lambda root: (root / 'outputs' / NEWEST / 'a_output_1.bin').touch(),
        ['expected 3 outputs', 'found 4', 'a_output_1.bin'],
    ),
    'two outputs for one photo': (
        lambda root: (root / 'outputs' / NEWEST / 'a_output_0.txt').touch(),
        ['a_output_0.txt: expected it or a_output_0.bin, found both'],
    ),
    'no run': (
        lambda root: (root / 'outputs').rename(root / 'old') and (root / 'outputs').mkdir(),
        ['outputs: holds no folder named by a time'],
    ),
    'no outputs': (
        lambda root: (root / 'outputs').rename(root / 'old'),
        ['outputs: no such folder'],
    ),
    'a missing mask': (
        lambda root: (root / 'bins' / 'masks' / 'b.bin').unlink(),
        ['masks/b.bin: cannot be read (No such file or directory)'],
    ),
    'a damaged mask': (
        lambda root: (root / 'bins' / 'masks' / 'b.bin').write_bytes(bytes(4096)),
        ['masks/b.bin: not what the index.json', 'damaged'],
    ),
    'no index': (
        lambda root: (root / 'bins' / 'index.json').unlink(),
        ['bins: holds no index.json'],
    ),
    'a damaged index': (
        lambda root: os.truncate(root / 'bins' / 'index.json', 100),
        ['index.json: not a JSON file'],
    ),
}


@pytest.mark.parametrize('breakage', BREAKAGES)
def test_evaluate_refuses_in_one_line(prepared, outputs, breakage):
    harm, parts = BREAKAGES[breakage]
    harm(prepared.parent)
    report = prepared.parent / 'report.json'
    process = evaluate(prepared, outputs, '--channels=1', '--report', report)
    assert_one_line_error(process, *parts)
    assert not report.exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--timestamp=yesterday'], 'outputs/yesterday: no such folder'),
        (['--report=report.txt'], '--report: expected a name that ends in .json'),
        (['--report=README.md/report.json'], 'README.md: expected a folder to write to'),
        (['--channels=3'], 'channels'),
        ([], '4096 bytes may be float32 of 1 channel or float16 of 2 channels'),
    ],
)
def test_evaluate_with_wrong_flags_is_one_line(prepared, outputs, arguments, message):
    assert_one_line_error(evaluate(prepared, outputs, *arguments), message)


def test_an_index_stays_in_its_folder(prepared):
    content = json.loads((prepared / 'index.json').read_text())
    content['items'][1]['name'] = '../b'
    (prepared / 'index.json').write_text(json.dumps(content))
    with pytest.raises(MattingError, match=r'index\.items\.1\.name: expected a plain file name'):
        read_index(prepared)


@pytest.mark.parametrize(
    ('harm', 'message'),
    [
        (lambda images: os.truncate(images / 'b.bin', 100), 'b.bin: expected 12288 bytes'),
        (
            lambda images: (images / 'b.bin').write_bytes(bytes(12288)),
            'b.bin: not what the index.json beside its folder tells of',
        ),
        (lambda images: (images / 'b.bin').rename(images / 'x.bin'), 'x.bin: the index.json'),
        (
            lambda images: [path.unlink() for path in images.iterdir()],
            'images: holds no .bin file',
        ),
    ],
    ids=['truncated', 'changed', 'unknown', 'none'],
)
def test_run_refuses_in_one_line(brightness, prepared, harm, message):
    harm(prepared / 'images')
    output = prepared.parent / 'outputs'
    process = bins('run', '--model', brightness, '--input', prepared / 'images', '--output', output)
    assert_one_line_error(process, message)
    assert process.stdout == b''
    assert not output.exists()


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('layout.input_shape.1', '32', "layout.input_shape.1: expected int, got '32'"),
        ('layout.input_shape.1', 2**14 + 1, r'layout.input_shape: expected \[1, H, W, 3\]'),
        ('layout.mask_shape.1', 33, r'masks/.*\.bin: expected 4224 bytes \(float32 \[1, 33, 32'),
        ('layout.mask_shape', [1, 2**14, 2**14, 1], 'layout.mask_shape: .* 8388608 pixels at most'),
        ('layout.mean.0', math.nan, 'layout.mean.0: expected float, got nan'),
        ('layout.std.2', math.inf, 'layout.std.2: expected float, got inf'),
        ('layout.std.2', 0, 'layout.std: expected 1e-3 to 1e6 each'),
        ('layout.artefact_sha256', {'a': 1}, 'layout.artefact_sha256: expected file names and'),
        ('items.1.size.0', 0, 'items.1.size: expected height and width of 1 to'),
        ('items.1.size.0', 2**63, 'items.1.size: expected height and width of 1 to'),
        ('items.1.sources.image', 7, 'items.1.sources: expected paths'),
        ('items.1.mask_sha256', 'x', 'items.1.mask_sha256: expected 64 hexadecimal digits'),
        ('items', [], 'items: expected at least one'),
        ('items', functools.reduce(lambda x, _: [x], range(500), 0), 'nested at most 64 deep'),
    ],
)
def test_an_index_is_checked_field_by_field(prepared, field, value, message):
    content = json.loads((prepared / 'index.json').read_text())
    *path, last = [int(part) if part.isdigit() else part for part in field.split('.')]
    part = functools.reduce(operator.getitem, path, content)
    part[last] = value
    (prepared / 'index.json').write_text(json.dumps(content))
    outputs = prepared.parent / 'given'
    outputs.mkdir()
    for name in NAMES:
        (outputs / f'{name}_output_0.bin').write_bytes(bytes(SIZE * SIZE * 4))
    with pytest.raises(MattingError, match=message):
        evaluate_bins(outputs, prepared, read_index(prepared), channels=1)


def test_masks_are_alphas(prepared):
    index = read_index(prepared)
    item = index.items[0]
    for value, message in ((np.nan, 'no finite numbers'), (2, r'in \[0, 1\], found 2 to 2')):
        content = np.full(index.layout.mask_shape, value, np.float32).tobytes()
        (prepared / item.mask_file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        with pytest.raises(MattingError, match=message):
            load_mask(prepared, dataclasses.replace(item, mask_sha256=digest), index.layout)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (np.zeros((1, SIZE, SIZE, 1), np.int64), 'floating-point numbers, found int64'),
        (np.zeros((1, 0, SIZE, 1), np.float32), r'floating-point numbers, found float32 \[1, 0'),
        (np.full((1, SIZE, SIZE, 1), np.nan, np.float32), '1024 that are NaN or infinite'),
    ],
)
def test_run_refuses_outputs_that_are_no_numbers(
    brightness, tmp_path, monkeypatch, values, message
):
    monkeypatch.setattr('onnxruntime.InferenceSession.run', lambda *_: [values])
    with pytest.raises(ArtefactError, match=message):
        run_bins(brightness, None, tmp_path / 'outputs')
    assert os.listdir(tmp_path / 'outputs') == []


def test_run_refuses_what_is_no_number(brightness, tmp_path):
    values = np.zeros((1, SIZE, SIZE, 3), np.float32)
    values[0, 5, 5, 0] = np.nan
    (tmp_path / 'a.bin').write_bytes(values.tobytes())
    with pytest.raises(MattingError, match=r'a\.bin: holds values that are no finite numbers'):
        run_bins(brightness, tmp_path, tmp_path / 'outputs')


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


def remove_an_alpha(dataset):
    (dataset / 'mattes' / 'c d.tif').unlink()


def add_an_alpha(dataset):
    Image.new('L', (40, 40)).save(dataset / 'mattes' / 'zz.png')


def add_a_photo_of_the_same_name(dataset):
    Image.new('RGB', (40, 40)).save(dataset / 'photos' / 'a.jpg')


def crop_an_alpha(dataset):
    Image.new('L', (40, 40)).save(dataset / 'mattes' / 'a.tif')


def colour_an_alpha(dataset):
    Image.new('RGB', (70, 40), 'red').save(dataset / 'mattes' / 'a.tif')


def damage_a_photo(dataset):
    (dataset / 'photos' / 'a.png').write_bytes(b'no picture')


@pytest.mark.parametrize(
    ('harm', 'arguments', 'message'),
    [
        (remove_an_alpha, [], '1 of 3 images without alpha (c d.png)'),
        (add_an_alpha, [], '1 of 4 alphas without image (zz.png)'),
        (add_a_photo_of_the_same_name, [], 'a.png: has the name of'),
        (crop_an_alpha, [], '70x40, got 40x40'),
        (colour_an_alpha, [], 'a.tif: expected an alpha (a grey picture), found colours'),
        (damage_a_photo, [], 'a.png: not a picture'),
        (None, ['--mask_size=big'], "--mask_size: expected height x width, as 800x600, got 'big'"),
        (None, ['--height=64'], 'takes 32 by 32 pixels only'),
        (None, ['--output=README.md/bins'], 'README.md: expected a folder to write to'),
        (None, ['--output=tests'], 'tests: the folder is not empty'),
        (None, ['--artefact=none.pb'], 'none.pb: no such file'),
        (None, ['--artefact=README.md'], 'README.md: expected an artefact'),
        (None, ['--images=none'], 'none: expected a folder of pictures, found nothing'),
    ],
)
def test_prepare_refuses_in_one_line(dataset, harm, arguments, message):
    if harm:
        harm(dataset)
    artefact = write_manifest(dataset / 'export')
    process = bins(
        'prepare', '--artefact', artefact, '--images', dataset / 'photos',
        '--alphas', dataset / 'mattes', '--output', dataset / 'bins', *arguments,
    )  # fmt: skip
    assert_one_line_error(process, message)
    assert sorted(os.listdir(dataset)) == ['export', 'mattes', 'photos']


def test_opaque_cutouts_are_refused(dataset):
    samples = compose_photos(dataset / 'photos', dataset / 'photos', 0)
    with pytest.raises(RecordError, match=r'a\.png: expected a transparent picture'):
        samples[0]


@pytest.mark.skipif(os.geteuid() == 0, reason='no permission stops root')
def test_a_folder_without_permission_is_one_line(prepared, outputs):
    prepared.parent.chmod(0o500)
    process = bins('prepare', '--height=32', '--width=32', '--images=.github', '--alphas=.github',
                   '--output', prepared.parent / 'new')  # fmt: skip
    prepared.parent.chmod(0o700)
    assert_one_line_error(process, 'cannot be written to (permission denied)')


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['--help'], ['exporters.bins prepare', 'exporters.bins run', './msame']),
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
