import jax
import numpy as np
import pytest

from exporters.tensorflow_graph.folding import fold_batch_norm, fold_scaling
from mattingjax.networks import apply_compiled, variable_shapes


@pytest.mark.parametrize('name', ['modnet', 'mmnet', 'deeplab'])
def test_folded_networks_compute_the_same(request, name):
    checkpoint = request.getfixturevalue(name)
    config, variables = checkpoint.config, checkpoint.variables
    before = jax.tree.map(np.array, variables)
    folded = fold_batch_norm(config, variables)
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    expected = checkpoint.apply(images)
    outputs = apply_compiled(config, folded, images, auxiliary=True)
    for output, value in expected.items():
        np.testing.assert_allclose(outputs[output], value, atol=2e-5, err_msg=output)
    jax.tree.map(np.testing.assert_array_equal, variables, before)  # left as they were
    shapes = jax.tree.map(np.shape, folded)
    assert shapes == jax.tree.map(lambda leaf: leaf.shape, variable_shapes(config))


def test_folding_twice_changes_nothing(modnet):
    once = fold_batch_norm(modnet.config, modnet.variables)
    twice = fold_batch_norm(modnet.config, once)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), once, twice)


def test_what_is_left_of_a_normalisation_is_its_bias(modnet):
    folded = fold_batch_norm(modnet.config, modnet.variables)
    block = folded['params']['f_branch']['conv_f_0']
    assert not block['bn']['bias'].any()  # the convolution's own bias took it up
    stem = folded['params']['backbone']['features_0']
    assert stem['bn']['bias'].all()
    assert (stem['bn']['scale'] == 1).all()
    assert not folded['batch_stats']['backbone']['features_0']['bn']['mean'].any()


def test_scaling_goes_into_mmnets_first_kernel(mmnet, modnet):
    config, variables = fold_scaling(mmnet.config, mmnet.variables)
    assert config.preprocessing.std == (1, 1, 1)
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    expected = mmnet.apply(images)['alpha']
    np.testing.assert_allclose(
        apply_compiled(config, variables, images)['alpha'], expected, atol=1e-5
    )
    assert fold_scaling(modnet.config, modnet.variables)[0] == modnet.config
