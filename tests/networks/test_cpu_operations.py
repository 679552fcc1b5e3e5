"""Values and gradients of the training operations equal those of the plain ones."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax.networks import (
    cpu_convolutions,
    cpu_operations,
    create_model_config,
    layers,
    operations,
)
from mattingjax.networks.mmnet.module import DecoderBlock, EncoderBlock, EncoderBlockConfig
from mattingjax.networks.mobilenet_v2 import InvertedResidual, InvertedResidualConfig
from mattingjax.networks.modnet import module
from mattingjax.networks.precision import cast_kernels
from mattingjax.networks.replacement import replace_operations
from tests.conftest import LIBRARY_NETWORKS
from tests.networks.cases import Case, record_cases


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


PADDINGS = ['SAME', 'symmetric']
CONVOLUTIONS = [  # size of the image, taps, stride, dilation
    ((15, 9), 3, 1, 1),
    ((16, 20), 3, 2, 1),
    ((15, 9), 3, 2, 1),
    ((19, 21), 3, 1, 2),
    ((19, 21), 3, 1, 4),
    ((21, 18), 3, 1, 8),
    *(((16, 20), 3, 1, dilation) for dilation in (6, 12, 18)),  # taps that see zeros alone
    ((17, 14), 5, 1, 1),
    ((13, 14), 5, 2, 2),
]


def pixels(padding, taps, dilation):
    """What an operation takes as its padding."""
    return 'SAME' if padding == 'SAME' else dilation * (taps // 2)


@pytest.mark.parametrize('padding', PADDINGS)
@pytest.mark.parametrize(('size', 'taps', 'stride', 'dilation'), CONVOLUTIONS)
@pytest.mark.parametrize('name', ['conv', 'depthwise_conv'])
def test_convolutions(monkeypatch, name, size, taps, stride, dilation, padding):
    # So small that an image has many strips, the last of which is not whole.
    monkeypatch.setattr(cpu_convolutions, 'STRIP_PIXELS', 100)
    padding = pixels(padding, taps, dilation)
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


@pytest.mark.parametrize('padding', ['SAME', 0])
@pytest.mark.parametrize('size', [(9, 7), (1, 1)])
@pytest.mark.parametrize('stride', [1, 2])
def test_pointwise_convolution(stride, size, padding):
    assert_same_gradients(
        lambda x, kernel: cpu_operations.conv(x, kernel, stride=stride, padding=padding),
        lambda x, kernel: operations.conv(x, kernel, stride=stride, padding=padding),
        random(2, *size, 6),
        random(1, 1, 6, 4),
    )


EPSILONS = [1e-5, 1e-3]


@pytest.mark.parametrize('epsilon', EPSILONS)
@pytest.mark.parametrize('size', [(16, 8), (7, 5)])
def test_normalisations(size, epsilon):
    x, scale, bias = 100 + 3 * random(3, *size, 6), random(6), random(6, seed=1)
    assert_same_gradients(cpu_operations.instance_norm, operations.instance_norm, x, tolerance=1e-3)

    def normalise(function):
        return lambda x, scale, bias: function(x, scale, bias, epsilon)[0]

    assert_same_gradients(
        normalise(cpu_operations.batch_norm_training),
        normalise(layers.batch_norm_training),
        x,
        scale,
        bias,
        tolerance=1e-3,
    )
    _, mean, variance = cpu_operations.batch_norm_training(x, scale, bias, epsilon)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1, 2)), rtol=1e-5)


def test_statistics_of_images_that_differ():
    """A batch varies within its images and between them."""
    x = random(3, 16, 8, 6) + np.float32([0, 100, -1000])[:, None, None, None]
    _, mean, variance = cpu_operations.batch_norm_training(x, jnp.ones(6), jnp.zeros(6), 1e-5)
    values = x.astype(np.float64)
    np.testing.assert_allclose(mean, values.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, values.var(axis=(0, 1, 2)), rtol=1e-6)


# JAX remembers what it has traced, so that each case has a batch of its own.
@pytest.mark.parametrize(
    ('images', 'devices', 'loops'), [(2, 1, True), (1, 1, False), (4, 2, False)]
)
def test_images_are_taken_one_by_one_on_one_device(monkeypatch, images, devices, loops):
    """A loop over a batch that several devices share would gather it on each of them."""
    monkeypatch.setattr(jax, 'device_count', lambda: devices)
    x, kernel = random(images, 9, 7, 3), random(3, 3, 1, 3)

    def differentiate(batch_norm, depthwise_conv, x, kernel):
        y, pull_back = jax.vjp(depthwise_conv, x, kernel)
        normalised = batch_norm(y, kernel[0, 0, 0], kernel[1, 1, 0], 1e-3)
        return normalised, pull_back(normalised[0])

    ours, plain = (
        functools.partial(differentiate, form.batch_norm_training, form.depthwise_conv)
        for form in (cpu_operations, operations)
    )
    assert ('scan' in str(jax.make_jaxpr(ours)(x, kernel))) == loops
    assert_close(jax.jit(ours)(x, kernel), jax.jit(plain)(x, kernel))


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
    x = jnp.asarray(random(2, 8, 8, 4), jnp.bfloat16)
    kernel = jnp.asarray(random(3, 3, 4, 4), jnp.bfloat16)
    for name, arguments in {
        'conv': (x, kernel),
        'depthwise_conv': (x, kernel[:, :, :1]),
        'instance_norm': (x,),
        'relu6': (x,),
    }.items():
        plain = getattr(operations, name)
        assert_same_gradients(cpu_operations.TRAINING[plain], plain, *arguments, tolerance=0.05)


TESTED = {
    *(
        Case(name, taps, stride, dilation, pixels(padding, taps, dilation))
        for name, padding, (_, taps, stride, dilation) in itertools.product(
            ('conv', 'depthwise_conv'), PADDINGS, CONVOLUTIONS
        )
    ),
    *(Case('conv', 1, stride, 1, padding) for stride in (1, 2) for padding in ('SAME', 0)),
    *(Case('batch_norm_training', epsilon=epsilon) for epsilon in EPSILONS),
    *(Case('upsample_2x', half_pixel=half_pixel) for half_pixel in (True, False)),
    *map(Case, ('ib_norm', 'instance_norm', 'relu6')),
}


@pytest.mark.parametrize('network', LIBRARY_NETWORKS)
def test_a_network_calls_nothing_in_a_way_that_is_not_tested(network):
    config = create_model_config(network)
    for replacements in ({}, cpu_operations.TRAINING):
        cases = record_cases(config, train=True, replacements=replacements)
        called = {case for case in cases if case.operation in cpu_operations.TRAINING}
        assert len(called) > 6
        assert called <= TESTED


BLOCKS = {  # module, sizes of what it takes
    'convolution of MODNet': (module.ConvIBNormReLU(7, 5), [(12, 10, 6)]),
    'convolution with a stride': (module.ConvIBNormReLU(6, 3, stride=2), [(12, 10, 6)]),
    'inverted residual': (
        InvertedResidual(InvertedResidualConfig(12, 6, True, True), 1),
        [(12, 10, 6)],
    ),
    'inverted residual with a stride': (
        InvertedResidual(InvertedResidualConfig(12, 5, True, False), 2),
        [(12, 10, 6)],
    ),
    'encoder block': (
        EncoderBlock(EncoderBlockConfig((4, 5), 7), (1, 4), 1, 0.0),
        [(12, 10, 6)],
    ),
    'encoder block with a stride': (
        EncoderBlock(EncoderBlockConfig((4,), 7), (2,), 2, 0.0, linear=False),
        [(12, 10, 6)],
    ),
    'decoder block': (DecoderBlock(5, 4), [(6, 5, 6), (12, 10, 5)]),
}


def differentiate(name, replacements, dtype='float32'):
    """The loss and new statistics of a block, and the gradients of parameters and inputs."""
    block, sizes = BLOCKS[name]
    inputs = [random(2, *size, seed=i) for i, size in enumerate(sizes)]
    variables = jax.jit(functools.partial(block.init, train=True))(jax.random.key(0), *inputs)

    def loss(params, inputs):
        with replace_operations(replacements):
            outputs, updates = block.apply(
                {**variables, 'params': cast_kernels(params, dtype)},
                *(x.astype(dtype) for x in inputs),
                train=True,
                mutable=['batch_stats'],
            )
        # Not their mean square: normalised values have the same one whatever comes before.
        return jnp.mean(outputs * random(*outputs.shape, seed=9)), updates

    # Compiled fast rather than running fast.
    options = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
    step = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True), compiler_options=options)
    return step(variables['params'], inputs)


@pytest.mark.parametrize('name', BLOCKS)
def test_gradients_of_a_block(name):
    (plain_values, plain), (values, gradients) = (
        differentiate(name, replacements) for replacements in ({}, cpu_operations.TRAINING)
    )
    assert_close(values, plain_values, tolerance=1e-3)
    plain, gradient = (
        np.concatenate(list(map(np.ravel, jax.tree.leaves(tree)))) for tree in (plain, gradients)
    )
    assert np.linalg.norm(gradient - plain) < 1e-3 * np.linalg.norm(plain)


@pytest.mark.parametrize('form', [{}, cpu_operations.TRAINING], ids=['plain', 'training'])
@pytest.mark.parametrize('name', BLOCKS)
def test_gradients_of_a_block_in_half_precision(name, form):
    """Each layer's gradient has the direction and the length that it has in float32."""
    (_, expected), (_, gradients) = (
        differentiate(name, form, dtype) for dtype in ('float32', 'bfloat16')
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients[0])} == {jnp.dtype('float32')}
    # A layer's arrays are taken together: that of a scale before another normalisation is near 0.
    for layer in expected[0]:
        a, e = (
            np.concatenate(list(map(np.ravel, jax.tree.leaves(params[layer]))))
            for params, _ in (gradients, expected)
        )
        # Measured: at least 0.976, and lengths within 6 %, both where a branch has few values.
        assert a @ e > 0.97 * np.linalg.norm(a) * np.linalg.norm(e)
        assert np.linalg.norm(a) == pytest.approx(np.linalg.norm(e), rel=0.08)


@pytest.mark.parametrize(('backend', 'replaced'), [('cpu', True), ('gpu', False)])
def test_training_operations_are_for_the_cpu(monkeypatch, backend, replaced):
    monkeypatch.setattr(jax, 'default_backend', lambda: backend)
    with cpu_operations.training_operations():
        gradient = jax.grad(lambda x: operations.relu6(x))(6.0)
    assert gradient == (0 if replaced else 0.5)
