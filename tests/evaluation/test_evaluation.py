import csv
import dataclasses
import json
import math
import os
import re
import threading
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor
from mattingjax.data.records import RecordError
from mattingjax.data.trimaps import make_trimap
from mattingjax.errors import ImageError, MattingError, OutputError
from mattingjax.evaluation import (
    EvaluationOptions,
    Folders,
    check_report,
    draw_worst,
    evaluate,
    evaluate_folders,
    format_protocol,
    format_table,
    parse_size,
    write_report,
)
from mattingjax.evaluation.metrics import METRICS, compute_metrics, mad
from mattingjax.evaluation.panel import DIFFERENCE, draw_row
from mattingjax.evaluation.run import describe_network
from mattingjax.images import load_image, resize

NAMES = ['a', 'b', 'c d']
SIZES = [(60, 46), (40, 64), (50, 50)]
WHOLE = EvaluationOptions(regions=('whole',))
MAD_ALONE = EvaluationOptions(regions=('whole',), metrics=('mad',))


def disc(height, width):
    """A soft disc in the middle, in whole 255ths so that PNG files keep it."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.round(np.clip((12 - distance) / 4, 0, 1) * 255).astype(np.float32) / 255


def brightness(image):
    """A network, of a kind."""
    return image.mean(-1, dtype=np.float32) / 255


@pytest.fixture
def records():
    """Photos whose brightness is their alpha, the more wrong the later the name."""
    rng = np.random.default_rng(0)
    made = []
    for i, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        alpha = disc(*size)
        noisy = np.clip(alpha + rng.normal(0, 0.1 * i, size), 0, 1)
        image = np.repeat(np.round(noisy * 255).astype(np.uint8)[..., None], 3, axis=-1)
        made.append({'name': name, 'image': image, 'alpha': alpha})
    return made


@pytest.fixture
def folders(records, tmp_path):
    """The records as files: photos, alphas, mattes and trimaps."""
    for record in records:
        pictures = {
            'photos': record['image'],
            'alphas': np.round(record['alpha'] * 255).astype(np.uint8),
            'mattes': record['image'][..., 0],
            'trimaps': np.round(make_trimap(record['alpha'], 2, 2) * 255).astype(np.uint8),
        }
        for folder, picture in pictures.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / folder / f'{record["name"]}.png')
    return tmp_path


def test_figures_are_those_of_the_metrics(records):
    report = evaluate(brightness, records)
    assert list(report.errors) == NAMES
    assert report.ranking == ['c d', 'b', 'a']
    for record in records:
        pred, true = brightness(record['image']), record['alpha']
        unknown = make_trimap(true, 3, 10) == 0.5
        expected = compute_metrics(pred, true)
        expected |= {
            f'{metric}_unknown': value
            for metric, value in compute_metrics(pred, true, region=unknown).items()
        }
        assert report.errors[record['name']] == pytest.approx(expected, rel=1e-12)
    for column in report.options.columns:
        values = [row[column] for row in report.errors.values()]
        assert report.means[column] == pytest.approx(sum(values) / 3)
        assert report.medians[column] == sorted(values)[1]
    assert set(report.errors['a'].values()) == {0}  # a perfect prediction
    assert report.skipped == []


@pytest.mark.parametrize('size', ['photo', 'network', (80, 60), (30, 40)])
def test_a_perfect_prediction_is_perfect_at_every_size(records, size):
    options = EvaluationOptions(size=size)
    perfect = [
        record | {'image': np.repeat(np.uint8(record['alpha'] * 255 + 0.5)[..., None], 3, axis=-1)}
        for record in records
    ]
    report = evaluate(brightness, perfect, options, network_size=lambda height, width: (48, 32))
    # The network's own size is reached in 8 bits by the photo, in floating point by the alpha.
    assert report.means['mad'] <= (0.5 / 255 if size == 'network' else 1e-7)


def test_both_are_compared_at_a_given_size(records):
    report = evaluate(brightness, records, EvaluationOptions(regions=('whole',), size=(80, 60)))
    for record in records:
        pred, true = (
            np.clip(resize(alpha, 80, 60), 0, 1)
            for alpha in (brightness(record['image']), record['alpha'])
        )
        assert report.errors[record['name']] == compute_metrics(pred, true)


def _width(record):
    return record['image'].shape[1]


def test_at_the_network_size_the_photo_is_resized_before(records):
    seen = []

    def predict(image):
        seen.append(image)
        return brightness(image)

    options = EvaluationOptions(regions=('whole',), metrics=('mad',), size='network')
    given = [record | {'trimap': np.full(record['alpha'].shape, 0.5)} for record in records]
    report = evaluate(predict, given, options, network_size=lambda height, width: (48, 2 * width))
    seen.sort(key=lambda image: image.shape[1])  # the threads come in any order
    for record, image in zip(sorted(records, key=_width), seen, strict=True):
        size = 48, 2 * _width(record)
        np.testing.assert_array_equal(image, resize(record['image'], *size, enlarge=cv2.INTER_AREA))
        true = np.clip(resize(record['alpha'], *size), 0, 1)
        assert report.errors[record['name']]['mad'] == mad(brightness(image), true)
    with pytest.raises(MattingError, match="size: 'network' needs a network"):
        evaluate(predict, records, options)


def test_own_trimaps_take_the_place_of_made_ones(records):
    options = EvaluationOptions(regions=('unknown',), trimap_kernel=2, trimap_iterations=2)
    made = evaluate(brightness, records, options)
    given = [record | {'trimap': make_trimap(record['alpha'], 2, 2)} for record in records]
    assert (
        evaluate(brightness, given, EvaluationOptions(regions=('unknown',))).errors == made.errors
    )
    assert list(made.options.columns)[:2] == ['mad_unknown', 'mse_unknown']
    assert evaluate(brightness, records).means['mad_unknown'] != made.means['mad_unknown']


def test_photos_without_unknown_pixels_do_not_count(records):
    size = records[0]['alpha'].shape
    records[0] |= {'alpha': np.ones(size, np.float32)}
    report = evaluate(brightness, records)
    assert math.isnan(report.errors['a']['mad_unknown'])
    others = [report.errors[name]['mad_unknown'] for name in NAMES[1:]]
    assert report.means['mad_unknown'] == pytest.approx(np.mean(others))
    assert 'mean of 3' in format_table(report)
    assert 'mean of 2' in format_table(report)
    # Ranked last where it has no figure to be ranked by.
    report = evaluate(brightness, records, EvaluationOptions(regions=('unknown',)))
    assert report.ranking[-1] == 'a'


def test_batches_of_training_as_records():
    rng = np.random.default_rng(1)
    true, pred = rng.random((2, 3, 16, 16, 1), np.float32)
    records = [{'alpha': a, 'pred_alpha': p} for a, p in zip(true, pred, strict=True)]
    report = evaluate(None, records, MAD_ALONE, worst=0)
    assert report.means['mad'] == pytest.approx(np.abs(true - pred).mean(), rel=1e-6)
    assert list(report.errors) == ['0', '1', '2']
    assert report.pictures == {}


def test_the_network_is_never_asked_twice_at_a_time(records):
    busy = threading.Lock()

    def predict(image):
        assert busy.acquire(blocking=False)
        time.sleep(0.01)
        busy.release()
        return brightness(image)

    many = [records[i % 3] | {'name': str(i)} for i in range(12)]
    report = evaluate(predict, many, MAD_ALONE)
    assert list(report.errors) == [str(i) for i in range(12)]


def test_pictures_of_the_worst(records):
    report = evaluate(brightness, records, worst=2)
    assert list(report.pictures) == ['c d', 'b']
    row = report.pictures['b']
    assert list(row) == ['photo', 'predicted alpha', 'true alpha', DIFFERENCE, 'cut-out']
    assert {picture.shape[:2] for picture in row.values()} == {(200, 320)}
    panel = draw_worst(report)
    assert panel.dtype == np.uint8
    assert panel.shape[1] > 5 * 320
    assert panel.shape[0] > 320 + 200
    # By another metric another order, and without photos no cut-outs.
    bare = [
        {'name': 'x', 'alpha': disc(30, 30), 'pred_alpha': np.roll(disc(30, 30), 3, 0)},
        {'name': 'y', 'alpha': disc(30, 30), 'pred_alpha': np.float32(disc(30, 30) > 0.5)},
    ]
    report = evaluate(None, bare)
    assert list(report.pictures) == ['x', 'y']
    assert list(report.pictures['x']) == ['predicted alpha', 'true alpha', DIFFERENCE]
    assert draw_worst(report).shape[1] < 4 * 320


def test_the_difference_is_red_where_too_much_and_blue_where_too_little():
    pred, true = np.zeros((2, 40, 40), np.float32)
    pred[:, :10] = 1
    true[:, 10:30] = 1
    pred[:, 20:30] = 1
    picture = draw_row(None, pred, true)[DIFFERENCE]
    red, blue, person, nothing = (picture[160, x].astype(int) for x in (40, 120, 200, 280))
    assert red[0] > 150 > red[2]
    assert blue[2] > 150 > blue[0]
    assert len(set(person)) == 1
    assert 200 < person[0] < 255
    assert nothing.tolist() == [255, 255, 255]


def test_files(records, tmp_path):
    report = evaluate(brightness, records)
    path = tmp_path / 'new' / 'report.json'
    written = write_report(path, report, {'network': {'name': 'brightness'}})
    names = ['report.csv', 'report_worst.png', 'report.json']
    assert [file.name for file in written] == names
    assert sorted(os.listdir(path.parent)) == sorted(names)
    content = json.loads(path.read_text())
    assert content['network'] == {'name': 'brightness'}
    assert content['count'] == 3
    assert content['means'] == report.means
    assert content['medians'] == report.medians
    assert content['photos'] == report.errors
    protocol = content['protocol']
    assert protocol['metrics'] == {name: METRICS[name].definition for name in METRICS}
    assert 'ellipse of 3 pixels, 10 times' in protocol['regions']['unknown']
    assert protocol['size'] == 'photo'
    assert set(content['versions']) >= {'python', 'jax', 'numpy', 'scipy'}
    with path.with_suffix('.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row.pop('name') for row in rows] == NAMES
    for row, errors in zip(rows, report.errors.values(), strict=True):
        assert {column: float(value) for column, value in row.items()} == errors
    np.testing.assert_array_equal(load_image(tmp_path / 'new/report_worst.png'), draw_worst(report))


def test_missing_figures_in_files(tmp_path):
    alpha = np.zeros((20, 20), np.float32)
    report = evaluate(None, [{'alpha': alpha, 'pred_alpha': alpha}], worst=0)
    written = write_report(tmp_path / 'report.json', report, {})
    assert [file.name for file in written] == ['report.csv', 'report.json']
    content = json.loads((tmp_path / 'report.json').read_text())
    assert content['means']['mad'] == 0
    assert content['means']['mad_unknown'] is None
    with (tmp_path / 'report.csv').open(newline='') as file:
        (row,) = csv.DictReader(file)
    assert (row['mad'], row['mad_unknown']) == ('0.0', '')
    assert '–' in format_table(report)


def test_long_names_are_cut_in_the_table(records):
    record = records[0] | {'name': 'a' * 60 + 'z' * 60}
    table = format_table(evaluate(brightness, [record], EvaluationOptions(metrics=('mad',))))
    assert f'{"a" * 23}…{"z" * 24}  ' in table
    assert max(map(len, table.splitlines())) == 48 + 15


def test_a_table(records):
    report = evaluate(brightness, records, EvaluationOptions(metrics=('sad', 'mad')))
    about, whole, unknown = format_table(report, worst=1).split('\n\n')
    count = len(report.errors)
    assert about == f'the worst 1 of {count} photos, by sad; median and mean are those of all'
    assert format_table(report, worst=count).startswith('whole image')
    head, worst, median, mean = whole.splitlines()
    assert head.split() == ['whole', 'image', 'sad', 'mad']
    assert worst.split()[:2] == ['c', 'd']
    assert median.startswith('median of 3')
    assert mean.split() == [
        'mean', 'of', '3', f'{report.means["sad"]:.4f}', f'{report.means["mad"]:.6f}'
    ]  # fmt: skip
    assert unknown.splitlines()[0].split()[:2] == ['unknown', 'region']


def test_what_figures_mean_is_said(records):
    report = evaluate(brightness, records, EvaluationOptions(size=(800, 600), metrics=('mse',)))
    about = {'network': {'name': 'n', 'step': None}, 'data': {'seed': 0}, 'left_out': ['x', 'y']}
    assert format_protocol(report, about).splitlines() == [
        'network: name n',
        'data: seed 0',
        'left_out: 2',
        'compared at: 800 by 600 pixels (height by width)',
        'whole image: every pixel',
        'unknown region: ' + report.options.describe_region('unknown'),
        'mse: mean of (pred − true)²',
    ]


def test_reports_are_replaced_only_where_asked(tmp_path):
    path = tmp_path / 'report.json'
    check_report(path, 'output')
    path.with_suffix('.csv').touch()
    with pytest.raises(OutputError, match=r'report\.csv: a report lies there already'):
        check_report(path, 'output')
    check_report(path, 'output', overwrite=True)
    path.mkdir()
    with pytest.raises(OutputError, match=r'report\.json: expected a file or nothing'):
        check_report(path, 'output', overwrite=True)
    with pytest.raises(MattingError, match=r'output: expected a name that ends in \.json'):
        check_report(tmp_path / 'report', 'output')
    with pytest.raises(OutputError, match=r'report\.csv: expected a folder to write to'):
        check_report(tmp_path / 'report.csv' / 'r.json', 'output')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'metrics': ('mad', 'psnr')}, "metrics: expected some of mad, .*, got 'psnr'"),
        ({'metrics': ()}, 'metrics: .* got none'),
        ({'regions': ('known',)}, "regions: expected some of whole, unknown, got 'known'"),
        ({'regions': ()}, 'regions: .* got none'),
        (
            {'size': (0, 10)},
            r"size: expected 'photo', 'network' or two sides of 1 to 16384 pixels, got \(0, 10\)",
        ),
        ({'trimap_kernel': 0}, 'trimap_kernel: expected at least 1, got 0'),
        ({'trimap_iterations': -1}, 'trimap_iterations: expected at least 1, got -1'),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(MattingError, match=message):
        EvaluationOptions(**options)


def test_sizes_as_text():
    assert parse_size('800x600', 'size') == (800, 600)
    for text in ('800', '800X600', '0x600', '800x600x3', '-8x6'):
        with pytest.raises(MattingError, match='size: expected height x width, as 800x600'):
            parse_size(text, 'size')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'alpha': None}, 'expected a true alpha, got none'),
        ({'image': None}, 'expected pred_alpha, or an image'),
        ({'alpha': np.full((50, 50), 255, np.float32)}, r'expected values in \[0, 1\]'),
        ({'alpha': np.zeros((50, 50), np.uint8)}, 'expected a float'),
        ({'pred_alpha': np.full((5, 5), np.nan)}, r'pred_alpha: expected values in \[0, 1\]'),
        ({'name': 'b'}, 'the name of two photos'),
    ],
)
def test_records_that_cannot_be_compared(records, change, message):
    changed = records[2] | change
    records[2] = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(MattingError, match=f'^{records[2]["name"]}: .*{message}'):
        evaluate(brightness, records)


def test_photos_that_the_network_refuses_are_named(records):
    def predict(image):
        if image.shape[:2] == SIZES[1]:
            raise ImageError('expected a photo of at least 16 pixels a side')
        return brightness(image)

    with pytest.raises(MattingError, match=r'^b: expected a photo of at least 16 pixels'):
        evaluate(predict, records)
    report = evaluate(predict, records, skip_damaged=True)
    assert list(report.errors) == ['a', 'c d']
    assert report.skipped == ['b: expected a photo of at least 16 pixels a side']


def test_nothing_to_evaluate(records):
    with pytest.raises(MattingError, match='none of 0 photos could be evaluated'):
        evaluate(brightness, [])
    with pytest.raises(MattingError, match='none of 3 photos could be evaluated'):
        evaluate(None, records, skip_damaged=True)


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
    assert about['network'] == describe_network(str(mmnet_path))
    assert about['network']['name'] == 'mmnet'
    assert len(about['network']['sha256']) == 64


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
    with pytest.raises(MattingError, match=r'expected a network .* or a folder of predictions'):
        evaluate_folders(pairs, WHOLE)
    with pytest.raises(MattingError, match='empty: holds no picture'):
        dataclasses.replace(pairs, alphas=tmp_path / 'empty').open()
    with pytest.raises(MattingError, match='none: expected a folder of pictures, found nothing'):
        dataclasses.replace(pairs, trimaps=tmp_path / 'none').open()
    stored = dataclasses.replace(pairs, predictions=folders / 'mattes')
    with pytest.raises(MattingError, match='size=network: needs a network'):
        evaluate_folders(stored, EvaluationOptions(size='network'))
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
