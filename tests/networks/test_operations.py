"""Values of the plain operations, and of those that stand in for them on the CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax.networks import create_model_config, operations
from mattingjax.networks.padding import explicit_padding
from tests.conftest import LIBRARY_NETWORKS
from tests.networks.cases import record_cases

DEPTHWISE = [  # padding, stride, dilation
    ('SAME', 1, 1),
    ('SAME', 2, 1),
    ('SAME', 1, 2),
    ('SAME', 1, 4),
    ('SAME', 1, 8),
    ('SAME', 1, 6),
    ('SAME', 1, 12),
    ('SAME', 1, 18),
    (1, 1, 1),
    (1, 2, 1),
    (1, 1, 4),
]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_upsample_half_pixel_is_the_usual_bilinear():
    x = random(2, 5, 7, 3)
    expected = jax.image.resize(x, (2, 10, 14, 3), 'bilinear', antialias=False)
    np.testing.assert_allclose(operations.upsample_2x(x, half_pixel=True), expected, atol=1e-6)


def test_upsample_legacy_takes_inputs_and_means():
    x = jnp.asarray([0.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    up = operations.upsample_2x(x, half_pixel=False)[0, :, 0, 0]
    np.testing.assert_array_equal(up, [0, 1, 2, 4, 6, 6])


@pytest.mark.parametrize('factor', [2, 4])
def test_downsample_is_bilinear_without_antialiasing(factor):
    x = random(1, 16, 32, 3)
    shape = (1, 16 // factor, 32 // factor, 3)
    expected = jax.image.resize(x, shape, 'bilinear', antialias=False)
    np.testing.assert_allclose(operations.downsample(x, factor), expected, atol=1e-6)


def test_instance_norm_normalises_each_channel_of_each_image():
    y = np.asarray(operations.instance_norm(5 + 3 * random(2, 8, 9, 4)))
    np.testing.assert_allclose(y.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=(1, 2)), 1, atol=1e-4)


@pytest.mark.parametrize(('padding', 'stride', 'dilation'), DEPTHWISE)
@pytest.mark.parametrize('size', [(16, 20), (15, 9)])
def test_depthwise_conv_is_the_same_on_every_backend(monkeypatch, padding, stride, dilation, size):
    x, kernel = random(2, *size, 5), random(3, 3, 1, 5)
    options = {'stride': stride, 'dilation': dilation, 'padding': padding}
    on_cpu = operations.depthwise_conv(x, kernel, **options)
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    np.testing.assert_allclose(
        on_cpu, operations.depthwise_conv(x, kernel, **options), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize('network', LIBRARY_NETWORKS)
def test_no_other_depthwise_conv_is_in_a_network(network):
    cases = record_cases(create_model_config(network), train=False, replacements={})
    called = [case for case in cases if case.operation is operations.depthwise_conv]
    assert len(called) > 1
    for case in called:
        assert case.taps == 3
        assert (case.padding, case.stride, case.dilation) in DEPTHWISE


def test_stride_two_pads_as_its_framework_does():
    # PyTorch pads both sides by one; TensorFlow's SAME pads an even size at the end only.
    assert explicit_padding(8, 3, 2, 1, 1) == (1, 1)
    assert explicit_padding(8, 3, 2, 1, 'SAME') == (0, 1)
    assert explicit_padding(7, 3, 2, 1, 'SAME') == (1, 1)
