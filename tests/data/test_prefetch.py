import jax
import numpy as np
import pytest

from mattingjax.data.prefetch import DevicePrefetch
from tests.data.test_pipeline import assert_equal, start, take


@pytest.mark.parametrize('sharded', [False, True])
def test_prefetch_gives_the_same_batches_on_the_device(sharded):
    mesh = jax.sharding.Mesh(jax.devices()[:1], ('data',))
    spec = jax.sharding.PartitionSpec('data')
    sharding = jax.sharding.NamedSharding(mesh, spec) if sharded else None
    expected = take(start(), 5)
    prefetch = DevicePrefetch(start(), sharding)
    first = take(prefetch, 2)
    state = prefetch.get_state()
    assert state['step'] == 2  # not the batches that were sent ahead
    rest = take(prefetch, 3)
    for batch in first + rest:
        assert isinstance(batch['image'], jax.Array)
        assert isinstance(batch['index'], np.ndarray)
        assert not sharded or batch['alpha'].sharding == sharding
    assert_equal(first + rest, expected)
    prefetch.set_state(state)
    assert_equal(take(prefetch, 3), expected[2:])
    prefetch.close()
