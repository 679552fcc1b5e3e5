import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from mattingjax.errors import MattingError
from mattingjax.networks.losses import (
    alpha_loss,
    composition_loss,
    gradient_loss,
    laplacian_loss,
)
from tests.networks.losses import alphas, assert_finite_gradient

PRED, TRUE = alphas(0, 2, 12, 15, 1), alphas(1, 2, 12, 15, 1)
IMAGE = np.random.default_rng(2).uniform(-1, 1, (2, 12, 15, 3)).astype(np.float32)
LOSSES = [
    alpha_loss,
    gradient_loss,
    laplacian_loss,
    lambda pred, true: composition_loss(pred, true, jnp.asarray(IMAGE)),
]


def test_by_definition():
    pred, true, image = (array.astype(np.float64) for array in (PRED, TRUE, IMAGE))
    assert alpha_loss(PRED, TRUE) == pytest.approx(np.abs(pred - true).mean(), rel=1e-6)
    expected = np.abs(image * pred - image * true).mean()
    assert composition_loss(PRED, TRUE, IMAGE) == pytest.approx(expected, rel=1e-6)
    expected = np.mean(
        [
            np.abs(np.subtract(*(ndimage.sobel(a[..., 0], axis, mode='constant') for a in pair)))
            for pair in zip(pred, true, strict=True)
            for axis in (0, 1)
        ]
    )
    assert gradient_loss(PRED, TRUE) == pytest.approx(expected / 8, rel=1e-6)


def _blur(picture, factor=1):
    for axis in (0, 1):
        taps = factor * np.array([1, 4, 6, 4, 1]) / 16
        picture = ndimage.correlate1d(picture, taps, axis, mode='mirror')
    return picture


@pytest.mark.parametrize('size', [(64, 80), (33, 47), (20, 5), (130, 101)])
def test_laplacian_loss_is_that_of_the_pyramid_by_definition(size):
    pred, true = alphas(4, 2, *size, 1), alphas(5, 2, *size, 1)
    levels = list((pred.astype(np.float64) - true)[..., 0])
    expected = 0.0
    for i in range(5):
        if min(levels[0].shape) < 5:
            break
        coarse = [_blur(level)[::2, ::2] for level in levels]
        differences = []
        for level, small in zip(levels, coarse, strict=True):
            spread = np.zeros_like(level)
            spread[::2, ::2] = small
            differences.append(level - _blur(spread, 2))
        expected += 2**i * np.abs(differences).mean()
        levels = coarse
    assert laplacian_loss(pred, true) == pytest.approx(expected, rel=1e-5)


def test_laplacian_loss_weighs_coarse_errors_more_and_few_pixels_not_at_all():
    true = np.zeros((1, 64, 64, 1), np.float32)
    region, hair = true.copy(), true.copy()
    region[:, :, :32], hair[:, :, ::2] = 1, 1  # the same mean absolute difference
    assert laplacian_loss(region, true) > 2 * laplacian_loss(hair, true)
    assert laplacian_loss(np.ones((1, 64, 64, 1), np.float32), true) == pytest.approx(0, abs=1e-5)
    assert laplacian_loss(region[:, :4], true[:, :4]) == 0


@pytest.mark.parametrize('loss', LOSSES)
def test_perfect_prediction(loss):
    assert loss(TRUE, TRUE) == 0
    assert_finite_gradient(loss, TRUE, TRUE)


@pytest.mark.parametrize('loss', LOSSES)
def test_gradient_is_that_of_finite_differences(loss):
    gradient = np.asarray(assert_finite_gradient(loss, PRED, TRUE)[0])
    direction = np.random.default_rng(3).normal(size=PRED.shape).astype(np.float32)
    direction *= PRED != TRUE  # where they are equal the losses have a kink
    step = 1e-3
    slope = (loss(PRED + step * direction, TRUE) - loss(PRED - step * direction, TRUE)) / (2 * step)
    assert slope == pytest.approx((gradient * direction).sum(), abs=2e-3)


@pytest.mark.parametrize('loss', LOSSES)
def test_bfloat16_is_computed_in_float32(loss):
    pred, true = jnp.asarray(PRED, jnp.bfloat16), jnp.asarray(TRUE, jnp.bfloat16)
    result = loss(pred, true)
    assert result.dtype == jnp.float32
    assert result == loss(pred.astype(jnp.float32), true.astype(jnp.float32))


@pytest.mark.parametrize(
    ('loss', 'arguments', 'message'),
    [
        (alpha_loss, (PRED, TRUE[..., 0]), 'true_alpha: expected shape [2, 12, 15, 1], got'),
        (gradient_loss, (PRED, TRUE[:1]), 'true_alpha: expected shape [2, 12, 15, 1], got'),
        (laplacian_loss, (PRED, TRUE[:1]), 'true_alpha: expected shape [2, 12, 15, 1], got'),
        (
            composition_loss,
            (PRED, TRUE, IMAGE[:, :6]),
            'image: expected shape [2, 12, 15, 3], got [2, 6, 15, 3]',
        ),
        (
            composition_loss,
            (PRED, TRUE, np.zeros((2, 12, 15, 3), np.uint8)),
            'image: expected floats as the network sees them, got uint8',
        ),
    ],
)
def test_bad_input(loss, arguments, message):
    with pytest.raises(MattingError) as caught:
        loss(*arguments)
    assert message in str(caught.value)
