import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from exporters.benchmark import compare_artefacts, comparison, list_entries
from mattingjax.errors import MattingError
from mattingjax.evaluation import EvaluationOptions, Folders, evaluate_folders
from mattingjax.weights import find_artefact

RUNTIMES = ['onnxruntime', 'openvino']


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """An artefact of weights that ship, someone else's without a signature, photos and alphas."""
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('openvino')
    place = tmp_path_factory.mktemp('place')
    shutil.copy(find_artefact('mmnet_0.5'), place / 'ours.onnx')
    model = onnx.load(place / 'ours.onnx')
    del model.metadata_props[:]
    onnx.save(model, place / 'theirs.onnx')
    rng = np.random.default_rng(0)
    for folder, mode in (('photos', 'RGB'), ('alphas', 'L')):
        (place / folder).mkdir()
        for name in ('a', 'b'):
            pixels = rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(place / folder / f'{name}.png')
    return place


def test_errors_are_those_of_evaluate(place, tmp_path):
    models = [str(place / name) for name in ('ours.onnx', 'theirs.onnx')]
    pairs = Folders(place / 'photos', place / 'alphas')
    told: list[str] = []
    entries = list_entries(models, RUNTIMES, ['f32'])
    report = compare_artefacts(
        entries, {'photos': pairs}, size=(64, 96), rounds=2, output=tmp_path / 'out',
        tell=told.append,
    )  # fmt: skip
    rows = report['networks']
    assert [row['runtime'] for row in rows] == RUNTIMES * 2
    assert rows[0]['time_ratio'] == 1
    assert all(row['shape'] == [1, 64, 96, 3] for row in rows)
    assert rows[0]['megabytes'] == (place / 'ours.onnx').stat().st_size / 1e6
    for row in rows[:2]:
        expected, about = evaluate_folders(
            pairs, EvaluationOptions(), network=models[0], runtime=row['runtime']
        )
        for figure in ('mad', 'mad_soft', 'mse', 'mean_gradient'):
            assert row['photos'][figure] == pytest.approx(expected.means[figure], rel=1e-6)
        assert row['network'] == about['network']
        assert row['network']['runtime'] == row['runtime']
        assert row['network']['precision'] == 'f32'
    assert not any('photos' in row for row in rows[2:])
    assert json.loads((tmp_path / 'out/benchmark.json').read_text()) == report
    picture = Image.open(io.BytesIO((tmp_path / 'out/benchmark.png').read_bytes()))
    assert picture.size == (770, 1144)  # two panels, one above the other

    note, _, table = told[0].partition('\n\n')
    assert 'medians of 2 runs in turn' in note
    assert 'onnxruntime' in note
    head, _, *lines = ([cell.strip() for cell in line.split('|')] for line in table.splitlines())
    assert len(lines) == 4
    column = {title: [line[i] for line in lines] for i, title in enumerate(head)}
    assert column['ms'] == [f'{1e3 * s:.2f}' for s in sorted(row['seconds'] for row in rows)]
    mads = {(row['name'], row['runtime']): row.get('photos', {}).get('mad') for row in rows}
    for name, runtime, cell in zip(
        column['artefact'], column['runtime'], column['photos: MAD'], strict=True
    ):
        mad = mads[name, runtime]
        assert cell == ('–' if mad is None else f'{100 * mad:.3f}')


def test_times_alone_need_no_photos(place, tmp_path):
    told: list[str] = []
    report = compare_artefacts(
        list_entries([str(place / 'theirs.onnx')], ['onnxruntime'], ['f32']),
        {}, size=(32, 32), rounds=1, output=tmp_path, tell=told.append,
    )  # fmt: skip
    (row,) = report['networks']
    assert row['time_ratio'] == 1
    digest = hashlib.sha256((place / 'theirs.onnx').read_bytes()).hexdigest()
    assert row['sha256'] == {'theirs.onnx': digest}
    assert [file.name for file in tmp_path.iterdir()] == ['benchmark.json']
    assert 'MAD' not in told[0]


def test_eight_bits_are_told_whatever_the_file_is_called(place, tmp_path):
    import onnx

    model = onnx.load(place / 'ours.onnx')
    (entry,) = (item for item in model.metadata_props if item.key == 'mattingjax')
    entry.value = json.dumps({**json.loads(entry.value), 'precision': 'int8'})
    onnx.save(model, tmp_path / 'model.onnx')
    told: list[str] = []
    entries = list_entries([str(tmp_path)], ['onnxruntime'], ['f32'])
    report = compare_artefacts(entries, {}, size=(32, 32), rounds=1, tell=told.append)
    assert (report['networks'][0]['form'], report['networks'][0]['precision']) == ('INT8', 'f32')
    assert '| model.onnx | onnxruntime | int8, f32 | INT8 |' in told[0]


def test_free_sizes_are_the_networks_own(place):
    report = compare_artefacts(
        list_entries([str(place / 'ours.onnx')], ['onnxruntime'], ['f32']),
        {}, rounds=1, tell=lambda _: None,
    )  # fmt: skip
    assert report['networks'][0]['shape'] == [1, 288, 288, 3]


def test_nothing_is_timed_before_all_is_known_to_be_good(place, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, 'list_times_in_turn', None)
    ours = list_entries([str(place / 'ours.onnx')], ['onnxruntime'], ['f32'])
    (tmp_path / 'torn').mkdir()
    (tmp_path / 'torn/a.png').write_bytes((place / 'photos/a.png').read_bytes()[:100])
    shutil.copy(place / 'photos/b.png', tmp_path / 'torn')
    with pytest.raises(MattingError, match=r'torn/a.png'):
        compare_artefacts(ours, {'photos': Folders(tmp_path / 'torn', place / 'alphas')})
    theirs = list_entries([str(place / 'theirs.onnx')], ['onnxruntime'], ['f32'])
    pairs = {'photos': Folders(place / 'photos', place / 'alphas')}
    with pytest.raises(MattingError, match=r'models: expected one with a manifest\.json'):
        compare_artefacts(theirs, pairs)
    with pytest.raises(MattingError, match='expected a place outside of'):
        compare_artefacts(ours, pairs, output=place / 'photos')
    (tmp_path / 'bad.onnx').write_bytes(b'no network')
    bad = list_entries([str(place / 'ours.onnx'), str(tmp_path / 'bad.onnx')], RUNTIMES, ['f32'])
    with pytest.raises(MattingError, match=r'bad\.onnx'):
        compare_artefacts(bad, {})


def test_a_picture_without_matplotlib_is_told_at_once(place, tmp_path, monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    pairs = {'photos': Folders(place / 'photos', place / 'alphas')}
    ours = list_entries([str(place / 'ours.onnx')], ['onnxruntime'], ['f32'])
    with pytest.raises(ImportError, match=r"benchmark\.png needs .* 'mattingjax\[train\]'"):
        compare_artefacts(ours, pairs, output=tmp_path)
