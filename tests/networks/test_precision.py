"""In mixed precision layers are bfloat16, and what would lose digits is float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax.networks import cpu_operations, create_model, operations
from mattingjax.networks.precision import at_least_float32, cast_kernels

HALF = jnp.bfloat16
FORMS = [lambda function: function.plain, lambda function: cpu_operations.TRAINING[function]]
VALUES = np.random.default_rng(0).standard_normal((2, 16, 16, 3))


@pytest.mark.parametrize('form', FORMS, ids=['plain', 'training'])
def test_statistics_are_those_of_float32(form):
    # The mean is 30 deviations off: bfloat16's sums and squares would hold nothing of the variance.
    x = jnp.asarray(30 + VALUES, HALF)
    exact = np.asarray(x, np.float64)
    scale, bias = np.float32([1.001, 2, 3]), np.float32([0.001, 0, 1])
    y, mean, variance = form(operations.batch_norm_training)(x, scale, bias, 1e-5)
    assert (y.dtype, mean.dtype, variance.dtype) == (HALF, jnp.float32, jnp.float32)
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-4)
    expected = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-5)
    assert_rounded(y, expected * scale + bias)

    y = form(operations.instance_norm)(x)
    expected = exact - exact.mean((1, 2), keepdims=True)
    assert_rounded(y, expected / np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5))


def assert_rounded(actual, expected):
    """Of type bfloat16 and no further from the true values than its rounding, of eight bits."""
    assert actual.dtype == HALF
    np.testing.assert_allclose(np.asarray(actual, np.float64), expected, rtol=2**-8, atol=1e-3)


def test_running_statistics_leave_the_type():
    x, scale = jnp.asarray(VALUES, HALF), np.float32([1.001, 2, 3])
    y = operations.batch_norm(x, 0 * scale, scale, scale, scale, 0.0)
    assert_rounded(y, np.asarray(x, np.float64) * np.sqrt(scale) + scale)


def test_a_sigmoid_is_no_step():
    logits = jnp.asarray([-9.0, 7.0, 9.0], HALF)
    y, gradient = jax.vmap(jax.value_and_grad(operations.sigmoid))(logits)
    assert y.dtype == jnp.float32
    expected = 1 / (1 + np.exp([9.0, -7.0, -9.0]))
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(gradient, np.float64), expected * (1 - expected), rtol=2**-8
    )


def test_taps_are_added_in_float32():
    # Each of eight taps adds half of what 1 + 2^-7, the next bfloat16 after 1, has more than 1.
    kernel = jnp.full((3, 3, 1, 1), 2**-8, HALF).at[0, 0].set(1)
    y = operations.shifted_depthwise_conv(jnp.ones((1, 3, 3, 1), HALF), kernel, padding=0)
    assert y.dtype == HALF
    assert float(y[0, 0, 0, 0]) == 1 + 8 * 2**-8


def test_a_bias_is_not_rounded_before_it_is_added():
    x = jnp.full((1, 1, 1, 1), -1, HALF)
    y = operations.add_bias(x, np.float32([1.001]))
    assert y.dtype == HALF
    assert float(y[0, 0, 0, 0]) == pytest.approx(0.001, rel=2**-8)


def test_kernels_alone_are_cast(toy):
    cast = cast_kernels(toy.variables['params'], 'bfloat16')
    types = jax.tree_util.tree_leaves_with_path(jax.tree.map(lambda leaf: leaf.dtype, cast))
    assert {(path[-1].key, str(dtype)) for path, dtype in types} == {
        ('kernel', 'bfloat16'), ('bias', 'float32'), ('scale', 'float32')
    }  # fmt: skip
    assert at_least_float32(jnp.zeros(1, HALF)).dtype == jnp.float32


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('network', ['modnet', 'mmnet', 'deeplab', 'toy'])
def test_layers_of_a_network_are_narrow_and_its_outputs_wide(request, network, training):
    checkpoint = request.getfixturevalue(network)
    variables = dict(checkpoint.variables)
    variables['params'] = cast_kernels(variables['params'], 'bfloat16')
    apply = functools.partial(
        create_model(checkpoint.config).apply,
        train=training,
        auxiliary=True,
        mutable=['batch_stats'],
        rngs={'dropout': jax.random.key(0)},
    )
    image = jnp.zeros((2, 64, 64, 3), HALF)
    program, (outputs, updates) = jax.make_jaxpr(apply, return_shape=True)(variables, image)
    assert {leaf.dtype for leaf in jax.tree.leaves((outputs, updates))} == {jnp.dtype('float32')}
    convolutions = [
        equation.invars
        for equation in program.eqns
        if equation.primitive.name in ('conv_general_dilated', 'dot_general')
    ]
    assert len(convolutions) >= 3
    assert {operand.aval.dtype for pair in convolutions for operand in pair} == {jnp.dtype(HALF)}
