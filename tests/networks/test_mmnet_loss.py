import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util
from scipy import special

from mattingjax.errors import MattingError
from mattingjax.networks.mmnet.loss import aux_loss, kd_loss, mmnet_loss
from mattingjax.training.objective import dense_kernels, l2_regularization
from tests.networks.losses import alphas, assert_finite_gradient

DEPTHWISE = ('stride', 'dilation', 'depthwise')  # how the names of such layers end


@pytest.fixture(scope='module')
def batch():
    """A network's outputs, the true alpha and the image."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 32, 48, 2)).astype(np.float32)
    outputs = {
        'alpha': special.softmax(logits, axis=-1)[..., 1:],
        'logits': logits,
        'aux_logits': rng.normal(0, 3, (2, 2, 3, 2)).astype(np.float32),
    }
    return outputs, alphas(1, 2, 32, 48, 1), rng.random((2, 32, 48, 3), np.float32)


def cross_entropy(logits, alpha):
    log_softmax = special.log_softmax(logits.astype(np.float64), axis=-1)
    return -((1 - alpha) * log_softmax[..., :1] + alpha * log_softmax[..., 1:]).mean()


def test_equals_the_original(shared):
    with np.load(shared / 'reference/losses/mmnet_losses.npz') as file:
        reference = dict(file)
    outputs = {
        'alpha': special.softmax(reference['logits'], axis=-1)[..., 1:],
        'logits': reference['logits'],
        'aux_logits': reference['aux_logits'],
    }
    arguments = outputs, reference['masks'][..., None], reference['images']
    loss, terms = mmnet_loss(*arguments, divide_twice=True)
    expected = {
        name: float(reference[f'{short}_loss'])
        for name, short in zip(terms, ('alpha', 'comp', 'grad', 'kd', 'aux'), strict=True)
    }
    print({name: f'{abs(terms[name] / expected[name] - 1):.1e}' for name in terms})
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected, rel=1e-6)
    assert loss == pytest.approx(sum(expected.values()) / 5, rel=1e-6)

    _, terms = mmnet_loss(*arguments)
    assert terms['composition'] == pytest.approx(255 * expected['composition'], rel=1e-6)


def test_total(batch):
    loss, terms = mmnet_loss(*batch)
    assert list(terms) == ['alpha', 'composition', 'gradient', 'kd', 'aux']
    assert loss == pytest.approx(sum(float(term) for term in terms.values()) / 5)


def test_kd_loss_is_its_definition(batch):
    outputs, alpha, _ = batch
    expected = cross_entropy(outputs['logits'], alpha)
    assert kd_loss(outputs['logits'], alpha) == pytest.approx(expected, rel=1e-6)
    gradient = np.asarray(jax.grad(kd_loss)(outputs['logits'], alpha))
    difference = outputs['alpha'] - alpha
    np.testing.assert_allclose(gradient[..., 1:], difference / alpha.size, atol=1e-9)


def test_kd_loss_at_the_ends():
    """Certain logits, right and wrong ones."""
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[0, :, 0, 1], logits[0, :, 1, 0] = 1e4, 1e4
    alpha = np.array([[1, 0], [0, 1]], np.float32).reshape(1, 2, 2, 1)
    assert kd_loss(logits, alpha) == pytest.approx(5e3)
    assert_finite_gradient(kd_loss, logits, alpha)


@pytest.mark.parametrize('size', [(2, 3), (5, 7)])
def test_aux_loss_takes_nearest_pixels_as_tensorflow_1(size):
    height, width = size
    alpha = alphas(2, 2, 32, 48, 1)
    logits = np.random.default_rng(3).normal(size=(2, *size, 2)).astype(np.float32)
    shrunk = np.zeros((2, *size, 1))
    for i, j in np.ndindex(size):
        shrunk[:, i, j] = alpha[:, int(i * 32 / height), int(j * 48 / width)]
    assert aux_loss(logits, alpha) == pytest.approx(cross_entropy(logits, shrunk), rel=1e-6)


def test_gradient_is_finite_for_a_perfect_prediction(batch):
    outputs, alpha, image = batch
    certain = np.concatenate([1 - alpha, alpha], axis=-1) * 100
    perfect = {**outputs, 'alpha': alpha, 'logits': certain}
    assert_finite_gradient(lambda outputs: mmnet_loss(outputs, alpha, image)[0], perfect)


def test_bfloat16_is_computed_in_float32(batch):
    narrow = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), batch)
    wide = jax.tree.map(lambda x: x.astype(jnp.float32), narrow)
    loss, terms = mmnet_loss(*narrow)
    assert (loss, terms) == mmnet_loss(*wide)
    assert {value.dtype for value in (loss, *terms.values())} == {jnp.dtype('float32')}


def test_bad_shape(batch):
    outputs, alpha, _ = batch
    with pytest.raises(MattingError, match=r'logits: expected shape \[2, 32, 48, 2\], got \[2, 2'):
        kd_loss(outputs['aux_logits'], alpha)


@pytest.mark.parametrize('name', ['mmnet', 'modnet', 'deeplab'])
def test_weight_decay_is_for_dense_kernels(name, request):
    params = request.getfixturevalue(name).variables['params']
    marked = traverse_util.flatten_dict(dense_kernels(params))
    expected = 0.0
    for path, leaf in traverse_util.flatten_dict(params).items():
        names = path[-3:-1] if path[-2] == 'conv' else path[-2:-1]
        depthwise = names[0].endswith(DEPTHWISE)
        assert marked[path] == (path[-1] == 'kernel' and not depthwise), path
        if marked[path]:
            expected += np.square(leaf.astype(np.float64)).sum() / 2
    assert 0 < sum(marked.values()) < len(marked)
    decay = jax.jit(functools.partial(l2_regularization, scale=4e-7))
    assert decay(params) == pytest.approx(4e-7 * expected, rel=1e-5)
    assert decay(params, scale=0.5) == pytest.approx(0.5 * expected, rel=1e-5)


def test_weight_decay_by_hand():
    params = {
        'dense': {'conv': {'kernel': jnp.full((3, 3, 2, 1), 2.0)}, 'bn': {'scale': jnp.ones(1)}},
        'narrow': {'kernel': jnp.full((1, 1, 1, 3), 3.0), 'bias': jnp.ones(3)},
        'depthwise': {'conv': {'kernel': jnp.ones((3, 3, 1, 2))}},
    }
    assert l2_regularization(params, scale=1.0) == (18 * 4 + 3 * 9) / 2
    gradient = jax.grad(lambda params: l2_regularization(params, scale=0.1))(params)
    np.testing.assert_allclose(gradient['dense']['conv']['kernel'], 0.2)
    np.testing.assert_array_equal(gradient['narrow']['bias'], 0)
    assert l2_regularization({'bn': {'scale': jnp.ones(3)}}, scale=1.0) == 0


def test_mask_for_optax():
    params = {'kernel': jnp.ones((3, 3, 2, 1)), 'bias': jnp.ones(1)}
    decay = optax.add_decayed_weights(0.5, mask=dense_kernels)
    updates, _ = decay.update(jax.tree.map(jnp.zeros_like, params), decay.init(params), params)
    np.testing.assert_array_equal(updates['kernel'], 0.5)
    np.testing.assert_array_equal(updates['bias'], 0)
