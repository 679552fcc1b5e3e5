"""Tables, files and pictures of the figures."""

import csv
import json
import os

import numpy as np
import pytest

from mattingjax.errors import MattingError, OutputError
from mattingjax.evaluation import (
    EvaluationOptions,
    check_report,
    draw_worst,
    evaluate,
    format_protocol,
    format_table,
    write_report,
)
from mattingjax.evaluation.metrics import METRICS
from mattingjax.evaluation.panel import DIFFERENCE, draw_row
from mattingjax.images import load_image
from tests.evaluation.photos import NAMES, brightness, disc


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
    about, whole, unknown, soft = format_table(report, worst=1).split('\n\n')
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
    assert soft.splitlines()[0].split()[:2] == ['soft', 'band']


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
        'soft band: where the true alpha lies in [0.03, 0.97], and the pixels at most 5 from there '
        '(a disc)',
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
