"""Photos, alphas and mattes in folders."""

import dataclasses
import os
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor
from mattingjax.checkpoints import hash_checkpoint, load_checkpoint
from mattingjax.data.records import RecordError
from mattingjax.data.trimaps import make_trimap
from mattingjax.errors import MattingError
from mattingjax.evaluation import (
    EvaluationOptions,
    Folders,
    evaluate,
    evaluate_folders,
    format_protocol,
)
from mattingjax.evaluation.metrics import compute_metrics, mad
from mattingjax.images import resize
from mattingjax.process.reading import hash_file
from mattingjax.weights import find_artefact
from tests.evaluation.photos import MAD_ALONE, NAMES, SIZES, WHOLE, brightness, disc


def test_folders_hold_the_same_as_records(records, folders):
    pairs = Folders(images=folders / 'photos', alphas=folders / 'alphas').open()
    expected = evaluate(brightness, records)
    assert evaluate(brightness, pairs).errors == expected.errors
    stored = Folders(
        alphas=folders / 'alphas', predictions=folders / 'mattes', trimaps=folders / 'trimaps'
    )
    report, about = evaluate_folders(stored, EvaluationOptions())
    given = [record | {'trimap': make_trimap(record['alpha'], 2, 2)} for record in records]
    assert report.errors == evaluate(brightness, given).errors
    assert report.errors['b']['mad'] == expected.errors['b']['mad']
    assert about['data'] == {
        'alphas': str(folders / 'alphas'),
        'predictions': str(folders / 'mattes'),
        'trimaps': str(folders / 'trimaps'),
    }


def test_a_network_in_files(folders, mmnet_path):
    pictures = Folders(images=folders / 'photos', alphas=folders / 'alphas')
    report, about = evaluate_folders(pictures, MAD_ALONE, network=str(mmnet_path))
    predictor = create_predictor(mmnet_path)
    for record in map(pictures.open().__getitem__, range(3)):
        expected = mad(predictor(record['image']), record['alpha'])
        assert report.errors[record['name']]['mad'] == pytest.approx(expected, rel=1e-6)
    assert about['network'] == {
        'checkpoint': str(mmnet_path),
        'name': 'mmnet',
        'sha256': hash_checkpoint(load_checkpoint(mmnet_path)),
        'runtime': 'jax',
        'device': 'CPU',
        'precision': 'f32',
        'input_size': 64,
    }


def test_a_network_at_another_size(folders, mmnet_path):
    pictures = Folders(images=folders / 'photos', alphas=folders / 'alphas')
    options = dataclasses.replace(MAD_ALONE, size='network')
    report, about = evaluate_folders(pictures, options, network=str(mmnet_path), input_size=48)
    assert about['network']['input_size'] == 48
    assert 'input_size 48' in format_protocol(report, about).splitlines()[0]
    predictor = create_predictor(mmnet_path, input_size=48)
    for record in map(pictures.open().__getitem__, range(3)):
        image = resize(record['image'], 48, 48, enlarge=cv2.INTER_AREA)
        expected = mad(predictor(image), np.clip(resize(record['alpha'], 48, 48), 0, 1))
        assert report.errors[record['name']]['mad'] == pytest.approx(expected, rel=1e-6)


def test_mattes_under_the_names_of_predict(records, folders):
    for name in NAMES:
        (folders / 'mattes' / f'{name}.png').rename(folders / 'mattes' / f'{name}_alpha.png')
    Image.new('RGB', (4, 4)).save(folders / 'mattes' / 'a_panel.png')  # is passed over
    stored = Folders(alphas=folders / 'alphas', predictions=folders / 'mattes')
    report, _ = evaluate_folders(stored, MAD_ALONE)
    assert report.errors == evaluate(brightness, records, MAD_ALONE).errors


def test_composites_are_the_same_everywhere(tmp_path):
    rng = np.random.default_rng(1)
    for folder, count, channels in (('cutouts', 5, 4), ('places', 2, 3)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            picture = rng.integers(0, 256, (30, 40, channels), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / folder / f'{i}.png')
    pictures = Folders(foregrounds=tmp_path / 'cutouts', backgrounds=tmp_path / 'places', seed=3)
    dataset = pictures.open()
    assert len(dataset) == 5
    order = np.random.default_rng(3).permutation(2)
    for i in range(5):
        record = dataset[i]
        rgba = np.asarray(Image.open(tmp_path / 'cutouts' / f'{i}.png')).astype(float)
        place = np.asarray(Image.open(tmp_path / 'places' / f'{order[i % 2]}.png'))
        alpha = rgba[..., 3:] / 255
        expected = np.round(alpha * rgba[..., :3] + (1 - alpha) * place)
        assert np.abs(record['image'] - expected).max() <= 1  # computed in float32
        np.testing.assert_array_equal(record['alpha'], np.float32(alpha[..., 0]))
    about = pictures.to_dict()
    assert about['seed'] == 3
    assert 'dealt out in turn' in about['composition']


def all_folders(root):
    return Folders(
        images=root / 'photos',
        alphas=root / 'alphas',
        predictions=root / 'mattes',
        trimaps=root / 'trimaps',
    )


def draw(name, mode, colour, size=(46, 60)):
    return lambda root: Image.new(mode, size, colour).save(root / name)


@pytest.mark.parametrize(
    ('lost', 'message'),
    [
        ('alphas', r'photos: 1 of 3 images without alpha \(b\.png\)$'),
        ('photos', r'alphas: 1 of 3 alphas without image \(b\.png\)$'),
        ('mattes', r'mattes: no matte for 1 of 3 \(b\)$'),
        ('trimaps', r'trimaps: no trimap for 1 of 3 \(b\)$'),
    ],
)
def test_pictures_without_a_counterpart(folders, lost, message, caplog):
    (folders / lost / 'b.png').unlink()
    pictures = all_folders(folders)
    with pytest.raises(MattingError, match=message):
        pictures.open()
    report, _ = evaluate_folders(pictures, MAD_ALONE, allow_unmatched=True)
    assert list(report.errors) == ['a', 'c d']
    assert re.search(message, caplog.messages[-1])


def test_nothing_in_common_is_an_error_anyway(folders):
    for path in (folders / 'mattes').iterdir():
        path.rename(path.with_stem(f'x{path.stem}'))
    with pytest.raises(MattingError, match=r'mattes: no matte for 3 of 3 \(a, b, c d\)'):
        all_folders(folders).open(allow_unmatched=True)


def test_mattes_in_subfolders(records, folders):
    (folders / 'mattes' / 'x').mkdir()
    (folders / 'mattes' / 'b.png').rename(folders / 'mattes' / 'x' / 'b.png')
    report, _ = evaluate_folders(all_folders(folders), MAD_ALONE)
    assert report.errors == evaluate(brightness, records, MAD_ALONE).errors
    (folders / 'mattes' / 'y').mkdir()
    Image.new('L', (64, 40)).save(folders / 'mattes' / 'y' / 'b.png')
    with pytest.raises(MattingError, match=r'y/b\.png: has the name of .*x/b\.png'):
        all_folders(folders).open(allow_unmatched=True)


def test_black_mattes_are_no_label_maps(folders):
    Image.new('L', SIZES[0][::-1], 1).save(folders / 'mattes' / 'a.png')
    report, _ = evaluate_folders(all_folders(folders), MAD_ALONE)
    expected = mad(np.full(SIZES[0], 1 / 255), disc(*SIZES[0]))
    assert report.errors['a']['mad'] == pytest.approx(expected, rel=1e-6)


DAMAGES = {
    'a corrupt photo': (
        lambda root: (root / 'photos' / 'a.png').write_bytes(b'no picture'),
        r'photos/a\.png: not a picture',
    ),
    'a cut-off alpha': (
        lambda root: os.truncate(root / 'alphas' / 'a.png', 60),
        r'alphas/a\.png: (cannot be read|damaged|not a picture)',
    ),
    'an alpha of another size': (
        draw('alphas/a.png', 'L', 0, (10, 20)),
        r'alphas/a\.png: expected the size of .*photos/a\.png, 46x60, got 10x20',
    ),
    'a coloured alpha': (
        draw('alphas/a.png', 'RGB', 'red'),
        r'alphas/a\.png: expected an alpha \(a grey picture\), found colours',
    ),
    'a matte of another size': (
        draw('mattes/a.png', 'L', 0, (10, 20)),
        r'mattes/a\.png: expected the size of .*photos/a\.png, 46x60, got 10x20',
    ),
    'no trimap but an alpha': (
        lambda root: (root / 'trimaps' / 'a.png').write_bytes(
            (root / 'alphas' / 'a.png').read_bytes()
        ),
        r'trimaps/a\.png: expected a trimap \(black, white and one grey\), found \d+ greys',
    ),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_files_are_fatal_or_skipped(folders, damage, capsys):
    harm, message = DAMAGES[damage]
    harm(folders)
    pictures = all_folders(folders)
    with pytest.raises(RecordError, match=message):
        evaluate_folders(pictures, WHOLE)
    report, _ = evaluate_folders(pictures, WHOLE, skip_damaged=True)
    assert list(report.errors) == ['b', 'c d']
    assert len(report.skipped) == 1
    assert capsys.readouterr().err.startswith('skipped: ')
    assert 'photos: 2 of 3, the others skipped: ' in format_protocol(report, {})


def test_wrong_folders(folders, tmp_path):
    photos, alphas = folders / 'photos', folders / 'alphas'
    (tmp_path / 'empty').mkdir()
    for given in ({}, {'images': photos}, {'alphas': alphas}, {'foregrounds': photos},
                  {'images': photos, 'alphas': alphas, 'backgrounds': photos}):  # fmt: skip
        with pytest.raises(MattingError, match='expected images and alphas, or foregrounds'):
            Folders(**given)
    with pytest.raises(MattingError, match='with predictions, alphas alone will do'):
        Folders(predictions=photos)
    pairs = Folders(images=photos, alphas=alphas)
    with pytest.raises(MattingError, match=r'expected a network .* or a folder of mattes'):
        evaluate_folders(pairs, WHOLE)
    with pytest.raises(MattingError, match='empty: holds no picture'):
        dataclasses.replace(pairs, alphas=tmp_path / 'empty').open()
    with pytest.raises(MattingError, match='none: expected a folder of pictures, found nothing'):
        dataclasses.replace(pairs, trimaps=tmp_path / 'none').open()
    stored = dataclasses.replace(pairs, predictions=folders / 'mattes')
    with pytest.raises(MattingError, match='size=network: needs a network'):
        evaluate_folders(stored, EvaluationOptions(size='network'))
    with pytest.raises(MattingError, match='input_size: needs a network'):
        evaluate_folders(stored, WHOLE, input_size=64)
    with pytest.raises(MattingError, match='precision: needs a network'):
        evaluate_folders(stored, WHOLE, precision='bf16')
    with pytest.raises(MattingError, match=r'report\.json: expected a place outside of .*photos'):
        pairs.check_outside(photos / 'reports' / 'report.json')
    pairs.check_outside(tmp_path / 'report.json')


def test_the_shared_data(shared):
    folders = [shared / 'data' / name for name in ('portraits_rgba', 'backgrounds')]
    if not all(folder.is_dir() for folder in folders):
        pytest.skip('no portraits')
    heads = Folders(foregrounds=folders[0], backgrounds=folders[1]).open()
    some = [heads[i] for i in range(0, len(heads), 53)]
    report = evaluate(brightness, some, WHOLE)
    for record in some:
        expected = compute_metrics(brightness(record['image']), record['alpha'])
        assert report.errors[record['name']] == pytest.approx(expected, rel=1e-6)
    street = shared / 'data' / 'ccp' / 'test'
    assert len(Folders(images=street / 'image', alphas=street / 'mask').open()) == 60


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_an_artefact_is_named_with_what_ran_it(folders, tmp_path, runtime):
    pytest.importorskip(runtime)
    path = tmp_path / 'model.onnx'
    shutil.copy(find_artefact('mmnet_0.5'), path)
    pictures = Folders(images=folders / 'photos', alphas=folders / 'alphas')
    report, about = evaluate_folders(pictures, MAD_ALONE, network=str(path), runtime=runtime)
    assert about['network'] == {
        'artefact': str(path),
        'sha256': {'model.onnx': hash_file(path)},
        'runtime': runtime,
        'device': 'CPU',
        'precision': 'f32',
        'input_size': 288,
    }
    first = format_protocol(report, about).splitlines()[0]
    assert f'runtime {runtime}, device CPU, precision f32' in first
