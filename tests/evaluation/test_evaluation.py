"""Figures of predictions, record by record."""

import math
import threading
import time

import cv2
import numpy as np
import pytest

from mattingjax.data.trimaps import make_trimap
from mattingjax.errors import ImageError, MattingError
from mattingjax.evaluation import (
    EvaluationOptions,
    evaluate,
    format_table,
    parse_size,
)
from mattingjax.evaluation.metrics import compute_metrics, mad
from mattingjax.evaluation.metrics.soft_band import soft_band
from mattingjax.images import resize
from tests.evaluation.photos import MAD_ALONE, NAMES, SIZES, brightness


def test_figures_are_those_of_the_metrics(records):
    report = evaluate(brightness, records)
    assert list(report.errors) == NAMES
    assert report.ranking == ['c d', 'b', 'a']
    for record in records:
        pred, true = brightness(record['image']), record['alpha']
        regions = {'unknown': make_trimap(true, 3, 10) == 0.5, 'soft': soft_band(true)}
        expected = compute_metrics(pred, true)
        for name, region in regions.items():
            expected |= {
                f'{metric}_{name}': value
                for metric, value in compute_metrics(pred, true, region=region).items()
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


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'metrics': ('mad', 'psnr')}, "metrics: expected some of mad, .*, got 'psnr'"),
        ({'metrics': ()}, 'metrics: .* got none'),
        ({'regions': ('known',)}, "regions: expected some of whole, unknown, soft, got 'known'"),
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
