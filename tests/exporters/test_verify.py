"""What verification refuses, on sessions that are functions."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from exporters.cases import Case
from exporters.precision.calibration import Loss
from exporters.verify import VerificationError, check_loss, worst_difference
from mattingjax.inference.signature import Signature
from mattingjax.networks import Preprocessing

SIGNATURE = Signature(
    'input', 'output', (1, 2, 2, 3), 'float32', True, 'RGB', False, 2,
    Preprocessing((0.0,) * 3, (255.0,) * 3, 'exact', 2),
)  # fmt: skip


def make_case(value):
    """An image of one value in [0, 1], and an alpha that is zero."""
    images = np.full((1, 2, 2, 3), value, np.float32)
    return Case('plain', images, np.zeros((1, 2, 2, 1), np.float32))


def run(images):
    return images[..., :1]


@pytest.mark.parametrize(
    ('values', 'worst'),
    [((0.25, 0.5), 0.5), ((0.0, math.nan), math.nan), ((math.nan, 0.5), math.nan)],
)
def test_the_worst_difference_is_nan_if_one_is(values, worst):
    cases = [make_case(value) for value in values]
    np.testing.assert_equal(worst_difference(run, cases, SIGNATURE), worst)


def make_calibration(loss, limit):
    return SimpleNamespace(
        limit=limit, has_alphas=loss.mad is not None, measure=lambda session: loss
    )


@pytest.mark.parametrize(
    ('loss', 'limit', 'message'),
    [
        (
            Loss(3, 0.0061), 0.005,
            "a mean difference from the network's alpha of at most 0.005, found 0.0061 "
            '(0.00610 from the network on 3 photos)',
        ),
        (
            Loss(3, 0.0061, 0.0131, 0.0125), 0.0005,
            'a rise of the mean absolute difference from the true alphas of at most 0.0005, found '
            '0.0006 (MAD 0.01310, the network 0.01250 on 3 photos)',
        ),
        (Loss(3, math.nan), 0.005, 'found nan'),
    ],
)  # fmt: skip
def test_what_loses_too_much_is_refused_with_the_figures(loss, limit, message):
    with pytest.raises(VerificationError) as raised:
        check_loss('model_int8.xml in openvino', run, make_calibration(loss, limit))
    assert str(raised.value).startswith('model_int8.xml in openvino: eight bits cost this network')
    assert message in str(raised.value)


def test_what_loses_little_passes():
    for loss, limit in ((Loss(3, 0.005), 0.005), (Loss(3, 0.0061, 0.0125, 0.0125), 1e-9)):
        assert check_loss('a', run, make_calibration(loss, limit)) is loss
