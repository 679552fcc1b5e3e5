"""Weights rounded to eight bits keep the sums of their kernels."""

import numpy as np
import pytest

from exporters.precision.rounding import (
    LARGEST,
    LARGEST_OF_PHOTO,
    round_keeping_sums,
    round_weights,
)


def test_sums_are_rounded_to_the_nearest_and_weights_up_or_down():
    weights = np.random.default_rng(0).uniform(-100, 100, (5, 7, 3, 3))
    rounded = round_keeping_sums(weights)
    assert rounded.dtype == np.int8
    assert np.abs(rounded - weights).max() < 1
    sums = rounded.sum(axis=(2, 3), dtype=int)
    np.testing.assert_array_equal(sums, np.round(weights.sum(axis=(2, 3))))


def test_each_kernel_has_the_values_nearest_to_it_among_those_of_its_sum():
    weights = np.array([[0.4, 0.4], [0.4, -1.2]])
    # To the nearest they would be 0, 0, 0 and -1; the sum is 0.
    rounded = round_keeping_sums(weights)
    assert rounded.sum() == 0
    assert sorted(rounded.reshape(-1).tolist()) == [-1, 0, 0, 1]


def test_what_is_exact_stays():
    weights = np.arange(-LARGEST, LARGEST + 1, dtype=float)[: 9 * 28].reshape(28, 1, 3, 3)
    np.testing.assert_array_equal(round_keeping_sums(weights), weights)


def test_nothing_is_larger_than_the_largest():
    weights = np.full((1, 1, 3, 3), 127.4)
    assert round_keeping_sums(weights).max() == LARGEST
    assert round_keeping_sums(weights / 2, largest=64).max() == 64


@pytest.mark.parametrize('largest', [LARGEST, LARGEST_OF_PHOTO])
def test_steps_are_those_that_a_quantiser_takes_for_each_output(largest):
    kernels = np.random.default_rng(0).standard_normal((4, 5, 3, 3)).astype(np.float32)
    kernels[2] = 0
    rounded = round_weights(kernels, largest)
    for kernel, exact in zip(rounded, kernels, strict=True):
        step = np.abs(exact).max() / largest or 1
        np.testing.assert_allclose(kernel / step, np.round(kernel / step), atol=1e-3)
        assert np.abs(kernel.sum(axis=(1, 2)) - exact.sum(axis=(1, 2))).max() <= 0.501 * step
