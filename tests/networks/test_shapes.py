"""Networks traced for shapes alone have the same shapes."""

import jax
import jax.numpy as jnp
import pytest

from mattingjax.networks import create_model, create_model_config, variable_shapes
from mattingjax.networks.layers import Conv
from mattingjax.networks.shapes import shapes_only
from tests.conftest import LIBRARY_NETWORKS
from tests.toy import TOY


def described(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


@pytest.mark.parametrize('network', [*LIBRARY_NETWORKS, TOY.name])
@pytest.mark.parametrize('auxiliary', [False, True])
def test_variables_and_outputs(network, auxiliary):
    config = create_model_config(network)
    model = create_model(config)
    image = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)

    def run(image):
        return model.init_with_output(jax.random.key(0), image, auxiliary=auxiliary)

    whole_outputs, whole = jax.eval_shape(run, image)
    with shapes_only():
        outputs, variables = jax.eval_shape(lambda image: run(image), image)
        applied = jax.eval_shape(
            lambda variables, image: model.apply(variables, image, auxiliary=auxiliary),
            variables,
            image,
        )
    assert described(variables) == described(whole)
    assert described(outputs) == described(whole_outputs) == described(applied)
    if auxiliary:
        assert described(variable_shapes(config)) == described(whole)


def test_modules_draw_their_kernels_at_random():
    images = jnp.zeros((1, 4, 4, 64))
    kernel = Conv(256, 3).init(jax.random.key(0), images)['params']['kernel']
    assert float(kernel.var()) == pytest.approx(2 / (3 * 3 * 64), rel=0.02)
    assert float(jnp.abs(kernel.mean())) < 1e-3


def test_layers_that_do_not_fit_are_refused():
    with shapes_only(), pytest.raises(ValueError, match='feature_group_count'):
        jax.eval_shape(Conv(24, 3, depthwise=True).init, jax.random.key(0), jnp.zeros((1, 8, 8, 8)))
