import numpy as np
import pytest

from mattingjax import create_predictor
from mattingjax.checkpoints import save_checkpoint
from mattingjax.inference.averaging import average_mattes


def red_falling(image):
    return image[..., 0] / np.float32(255) * np.linspace(1, 0, 6, dtype=np.float32)


def blue(image):
    return image[..., 2] / np.float32(255)


@pytest.mark.parametrize(
    ('predictors', 'flip', 'expected'),
    [
        ([red_falling], False, [1, 0.8, 0, 0, 0, 0]),
        ([red_falling], True, [(1 + 0) / 2, (0.8 + 0.2) / 2, 0, 0, 0, 0]),
        ([red_falling, blue], False, [1 / 2, 0.8 / 2, 0, 0, 0, 1 / 2]),
        ([red_falling, blue], True, [1 / 4, (0.8 + 0.2) / 4, 0, 0, 0, 2 / 4]),
    ],
)
def test_predictors_and_mirrors_weigh_the_same(predictors, flip, expected):
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, :2, 0] = 255
    image[:, 5, 2] = 255
    alpha = average_mattes(predictors, flip=flip)(image)
    assert alpha.dtype == np.float32
    np.testing.assert_allclose(alpha, np.tile(expected, (4, 1)), atol=1e-7)


def test_the_mean_of_a_network_at_two_sizes(toy, tmp_path):
    save_checkpoint(tmp_path / 'toy', toy)
    at_32, at_48 = (create_predictor(tmp_path / 'toy', input_size=size) for size in (32, 48))
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    mirrored = image[:, ::-1]
    expected = (at_32(image) + at_48(image)) / 4
    expected += (at_32(mirrored) + at_48(mirrored))[:, ::-1] / 4
    assert np.abs(at_32(image) - at_48(image)).max() > 1e-3
    alpha = average_mattes([at_32, at_48], flip=True)(image)
    np.testing.assert_allclose(alpha, expected, atol=1e-6)
