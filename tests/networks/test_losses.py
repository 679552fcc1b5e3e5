import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from mattingjax.errors import MattingError
from mattingjax.networks.losses import alpha_loss, composition_loss, gradient_loss
from tests.networks.losses import alphas, assert_finite_gradient

PRED, TRUE = alphas(0, 2, 12, 15, 1), alphas(1, 2, 12, 15, 1)
IMAGE = np.random.default_rng(2).uniform(-1, 1, (2, 12, 15, 3)).astype(np.float32)
LOSSES = [
    alpha_loss,
    gradient_loss,
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
