"""What the tests of all losses share."""

import jax
import jax.numpy as jnp
import numpy as np


def alphas(seed, *shape):
    """Random float32 values, about a third each exactly 0, exactly 1 and between."""
    values = np.random.default_rng(seed).uniform(-1, 2, shape)
    return np.clip(values, 0, 1).astype(np.float32)


def assert_finite_gradient(loss, *arrays):
    """Compiles the loss and its gradients by all arguments; returns the gradients."""
    arrays = jax.tree.map(jnp.asarray, arrays)
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=range(len(arrays))))(*arrays)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    assert np.isfinite(value)
    for gradient in jax.tree.leaves(gradients):
        assert np.isfinite(np.asarray(gradient, np.float32)).all()
    return gradients
