"""The soft band, on alphas whose band can be counted by hand."""

import math

import numpy as np
import pytest

from mattingjax.errors import MattingError
from mattingjax.evaluation import evaluate, format_table
from mattingjax.evaluation.metrics.soft_band import mad_soft, soft_band


def one_soft_pixel(value):
    """A mask of 25 × 31 pixels, the right third of which is the person, and a soft pixel in it."""
    alpha = np.zeros((25, 31))
    alpha[:, 20:] = 1
    alpha[12, 8] = value
    return alpha


def test_the_band_is_a_disc_around_what_is_soft():
    band = soft_band(one_soft_pixel(0.5))
    expected = [
        [math.hypot(i - 12, j - 8) <= 5 for j in range(31)] for i in range(25)
    ]  # the pixels (3, 4) and (5, 0) away belong to it, (4, 4) away does not
    np.testing.assert_array_equal(band, expected)
    assert band.sum() == 81


@pytest.mark.parametrize(
    ('value', 'is_soft'), [(0.02, False), (0.03, True), (0.97, True), (0.98, False)]
)
def test_where_softness_begins(value, is_soft):
    assert soft_band(one_soft_pixel(value)).any() == is_soft


def test_a_corner_cuts_the_disc():
    alpha = np.zeros((20, 20), np.float32)
    alpha[0, 0] = 0.5
    # The quarter of the disc's 81 pixels with both offsets at least 0: (81 − 1) / 4 + 1 + 5.
    assert soft_band(alpha).sum() == (81 - 1) // 4 + 1 + 5


def test_the_error_by_hand():
    true = one_soft_pixel(0.5)
    pred = true.copy()
    pred[12, 8] = 0.9  # in the band: 0.4
    pred[12, 13] = 0.25  # at its end: 0.25
    pred[12, 14] = 1  # beyond
    assert mad_soft(pred, true) == pytest.approx(0.65 / 81)
    assert mad_soft(true, true) == 0
    # Where the prediction alone is soft there is no band.
    assert math.isnan(mad_soft(np.full((9, 9), 0.5), np.ones((9, 9))))


@pytest.mark.parametrize(
    ('alpha', 'message'),
    [
        (np.full((9, 9), 2.0), r'true_alpha: expected values in \[0, 1\], got values from 2.0'),
        (np.zeros((9, 9), np.uint8), 'true_alpha: expected a floating-point array, got uint8'),
    ],
)
def test_bad_alphas(alpha, message):
    with pytest.raises(MattingError, match=message):
        soft_band(alpha)


def test_photos_with_masks_do_not_count():
    true, mask = one_soft_pixel(0.5), one_soft_pixel(0)
    soft = {'alpha': true, 'pred_alpha': np.clip(true + 0.1, 0, 1)}
    report = evaluate(None, [soft, {'alpha': mask, 'pred_alpha': 1 - mask}], worst=0)
    assert report.errors['0']['mad_soft'] == pytest.approx(0.1)
    assert math.isnan(report.errors['1']['mad_soft'])
    assert report.means['mad_soft'] == report.errors['0']['mad_soft']
    assert (report.counts['mad'], report.counts['mad_soft']) == (2, 1)
    *_, table = format_table(report).split('\n\n')
    assert table.startswith('soft band')
    assert table.splitlines()[-1].split()[:4] == ['mean', 'of', '1', '0.100000']
