import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax.data.on_device.draws import Draws
from mattingjax.data.on_device.trimaps import make_trimap, random_trimap
from mattingjax.data.trimaps import make_trimap as make_on_the_host
from tests.data.on_device.pinned import blobs

pytestmark = pytest.mark.usefixtures('quickly_compiled')


@pytest.mark.parametrize('kernel_size', [2, 3, 4])
def test_equals_the_hosts(kernel_size):
    alpha = np.pad(blobs(60, 60)['alpha'], 10)
    alpha[:20, :20] = 1  # up to two sides
    make = jax.jit(make_trimap)
    for iterations in (5, 8, 14):
        found = make(alpha, jnp.int32(kernel_size), jnp.int32(iterations))
        np.testing.assert_array_equal(found, make_on_the_host(alpha, kernel_size, iterations))


def test_every_kernel_and_number_of_iterations_is_drawn():
    alpha = np.zeros((64, 64), np.float32)
    alpha[:32] = 1
    make = jax.jit(jax.vmap(lambda key: random_trimap(alpha, Draws(key))))
    trimaps = make(jax.random.split(jax.random.key(0), 300))
    found = {np.asarray(trimap).tobytes() for trimap in trimaps}
    every = [make_on_the_host(alpha, size, count) for size in (2, 3, 4) for count in range(5, 15)]
    assert found == {trimap.tobytes() for trimap in every}
