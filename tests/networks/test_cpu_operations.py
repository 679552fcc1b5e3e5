"""Values and gradients of the training operations equal those of the plain ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax.networks import cpu_convolutions, cpu_operations, create_model, layers, operations
from mattingjax.networks.replacement import replace_operations


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def assert_close(actual, expected, tolerance=1e-4):
    """Equal but for `tolerance` of the largest value of each array."""
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        a, e = np.asarray(a, np.float32), np.asarray(e, np.float32)
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * max(np.abs(e).max(), 1e-3))


def assert_same_gradients(function, plain, *arguments, tolerance=1e-4):
    """Both give the same values, and the same gradients of all arguments."""
    results = []
    for f in (function, plain):

        @jax.jit
        def evaluate(*arguments, f=f):
            y, pull_back = jax.vjp(f, *arguments)
            return y, pull_back(jnp.asarray(random(*y.shape, seed=1), y.dtype))

        results.append(evaluate(*arguments))
    assert_close(*results, tolerance)


CONVOLUTIONS = [
    ((15, 9), 3, 1, 1),
    ((16, 20), 3, 2, 1),
    ((15, 9), 3, 2, 1),
    ((19, 21), 3, 1, 2),
    ((19, 21), 3, 1, 4),
    ((21, 18), 3, 1, 8),
    ((17, 14), 5, 1, 1),
    ((13, 14), 5, 2, 2),
]


@pytest.mark.parametrize('padding', ['SAME', 1])
@pytest.mark.parametrize(('size', 'taps', 'stride', 'dilation'), CONVOLUTIONS)
@pytest.mark.parametrize('name', ['conv', 'depthwise_conv'])
def test_convolutions(monkeypatch, name, size, taps, stride, dilation, padding):
    # So small that an image has many strips, the last of which is not whole.
    monkeypatch.setattr(cpu_convolutions, 'STRIP_PIXELS', 100)
    if padding != 'SAME':
        padding = dilation * (taps // 2)
    kernel = random(taps, taps, 1 if name == 'depthwise_conv' else 5, 5)

    def bind(function):
        return lambda x, kernel: function(
            x, kernel, stride=stride, dilation=dilation, padding=padding
        )

    assert_same_gradients(
        bind(cpu_operations.TRAINING[getattr(operations, name)]),
        bind(getattr(operations, name)),
        random(2, *size, 5),
        kernel,
    )


def test_a_depthwise_convolution_that_leaves_pixels_out():
    options = {'stride': 2, 'padding': 0}  # the last of 16 columns has no output
    assert_same_gradients(
        lambda x, kernel: cpu_operations.depthwise_conv(x, kernel, **options),
        lambda x, kernel: operations.depthwise_conv(x, kernel, **options),
        random(1, 15, 16, 3),
        random(3, 3, 1, 3),
    )


@pytest.mark.parametrize('stride', [1, 2])
def test_pointwise_convolution(stride):
    assert_same_gradients(
        lambda x, kernel: cpu_operations.conv(x, kernel, stride=stride),
        lambda x, kernel: operations.conv(x, kernel, stride=stride),
        random(2, 9, 7, 6),
        random(1, 1, 6, 4),
    )


@pytest.mark.parametrize('size', [(16, 8), (7, 5)])
def test_normalisations(size):
    x, scale, bias = 100 + 3 * random(3, *size, 6), random(6), random(6, seed=1)
    assert_same_gradients(cpu_operations.instance_norm, operations.instance_norm, x, tolerance=1e-3)

    def normalise(function):
        return lambda x, scale, bias: function(x, scale, bias, 1e-5)[0]

    assert_same_gradients(
        normalise(cpu_operations.batch_norm_training),
        normalise(layers.batch_norm_training),
        x,
        scale,
        bias,
        tolerance=1e-3,
    )
    _, mean, variance = cpu_operations.batch_norm_training(x, scale, bias, 1e-5)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1, 2)), rtol=1e-5)


def test_ib_norm():
    assert_same_gradients(
        lambda x: cpu_operations.ib_norm(x, 2, jnp.tanh),
        lambda x: operations.ib_norm(x, 2, jnp.tanh),
        random(2, 8, 6, 5),
    )


@pytest.mark.parametrize('half_pixel', [True, False])
@pytest.mark.parametrize('size', [(4, 6), (1, 3)])
def test_upsampling(half_pixel, size):
    assert_same_gradients(
        lambda x: cpu_operations.upsample_2x(x, half_pixel=half_pixel),
        lambda x: operations.upsample_2x(x, half_pixel=half_pixel),
        random(2, *size, 3),
    )


def test_relu6_has_no_gradient_outside():
    x = np.float32([-1, 0, 1, 6, 7])
    np.testing.assert_array_equal(cpu_operations.relu6(x), [0, 0, 1, 6, 6])
    gradient = jax.grad(lambda x: cpu_operations.relu6(x).sum())(x)
    np.testing.assert_array_equal(gradient, [0, 0, 1, 0, 0])


def test_half_precision_stays():
    x, scale = jnp.asarray(random(2, 8, 8, 4), jnp.bfloat16), jnp.ones(4, jnp.bfloat16)
    kernel = jnp.asarray(random(3, 3, 4, 4), jnp.bfloat16)
    for name, arguments in {
        'conv': (x, kernel),
        'depthwise_conv': (x, kernel[:, :, :1]),
        'instance_norm': (x,),
        'relu6': (x,),
    }.items():
        plain = getattr(operations, name)
        # Instance normalisation computes in float32 here, in bfloat16 there.
        assert_same_gradients(cpu_operations.TRAINING[plain], plain, *arguments, tolerance=0.05)
    y, mean, _ = cpu_operations.batch_norm_training(x, scale, scale, 1e-5)
    assert (y.dtype, mean.dtype) == (jnp.bfloat16, jnp.float32)


@pytest.mark.parametrize('network', ['modnet', 'mmnet'])
def test_gradients_of_a_network(request, network):
    checkpoint = request.getfixturevalue(network)
    model, variables = create_model(checkpoint.config), checkpoint.variables
    images = random(2, 64, 96, 3)

    def loss(params, replacements):
        with replace_operations(replacements):
            outputs, updates = model.apply(
                {**variables, 'params': params}, images, train=True, mutable=['batch_stats']
            )
        return sum(jnp.square(output).mean() for output in outputs.values()), updates

    results = []
    for replacements in ({}, cpu_operations.TRAINING):
        step = jax.value_and_grad(functools.partial(loss, replacements=replacements), has_aux=True)
        # Compiled fast rather than running fast.
        options = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
        values, gradients = jax.jit(step, compiler_options=options)(variables['params'])
        results.append((values, np.concatenate(list(map(np.ravel, jax.tree.leaves(gradients))))))
    (plain_values, plain), (values, gradient) = results
    assert_close(values, plain_values, tolerance=1e-3)
    # Rounding errors grow on the way back through many normalisations.
    assert np.linalg.norm(gradient - plain) < 1e-2 * np.linalg.norm(plain)


@pytest.mark.parametrize(('backend', 'replaced'), [('cpu', True), ('gpu', False)])
def test_training_operations_are_for_the_cpu(monkeypatch, backend, replaced):
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    with cpu_operations.training_operations():
        gradient = jax.grad(lambda x: operations.relu6(x))(6.0)
    assert gradient == (0 if replaced else 0.5)
