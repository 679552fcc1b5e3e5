import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from PIL import Image

from exporters.tensorflow_graph.folding import fold_batch_norm
from mattingjax.errors import MattingError
from mattingjax.pruning import load_batches, recalibrate, restore_batch_norm
from mattingjax.pruning.recalibration import find_folded
from tests.pruning.conftest import photos, run, short_graphs


@pytest.fixture(autouse=True)
def _short_graphs():
    with short_graphs():
        yield


def test_statistics_are_those_of_the_photos(toy):
    """Of the first layer, whose input no other normalisation changes; over both batches."""
    batches = [photos(4)[:2], photos(4)[2:]]
    found = recalibrate(toy.config, toy.variables, batches)['batch_stats']
    kernel = toy.variables['params']['stem']['conv']['kernel']
    x = jax.lax.conv_general_dilated(
        photos(4) / 255, kernel, (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    bn = found['stem']['bn']
    np.testing.assert_allclose(bn['mean'], np.mean(x, (0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bn['var'], np.var(x, (0, 1, 2)), rtol=1e-4)


def test_old_statistics_leave_no_trace(toy):
    batches = [photos(4)[:2]]
    values = flatten_dict(toy.variables, sep='/')
    other = {k: v * 3 + 1 if k.startswith('batch_stats') else v for k, v in values.items()}
    first = recalibrate(toy.config, toy.variables, batches)
    second = recalibrate(toy.config, unflatten_dict(other, sep='/'), batches)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), first, second)
    jax.tree.map(np.testing.assert_array_equal, first['params'], toy.variables['params'])
    shapes = jax.tree.map(np.shape, toy.variables)
    assert jax.tree.map(np.shape, first) == shapes


def test_restored_normalisation_computes_the_same(modnet):
    config = modnet.config
    folded = fold_batch_norm(config, modnet.variables)
    assert len(find_folded(config, folded)) > 60
    assert find_folded(config, modnet.variables) == []
    restored = restore_batch_norm(config, folded, [photos()])
    assert find_folded(config, restored) == []
    others = np.random.default_rng(9).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    before, after = (run(config, tree, others) for tree in (folded, restored))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=1e-4)
    with pytest.raises(MattingError, match='batch normalisation is folded in'):
        recalibrate(config, folded, [photos()])
    assert restore_batch_norm(config, restored, [photos()]) is restored


def test_no_photos(toy):
    with pytest.raises(MattingError, match='there are no photos'):
        recalibrate(toy.config, toy.variables, [])


def test_batches_of_photos(toy, tmp_path):
    paths = []
    for i in range(5):
        paths.append(tmp_path / f'{i}.png')
        Image.new('RGB', (90 + i, 70), (i, 0, 0)).save(paths[-1])
    batches = list(load_batches(toy.config, paths, 2))
    assert [batch.shape for batch in batches] == [(2, 64, 64, 3)] * 2
    assert batches[1].dtype == np.float32
    np.testing.assert_array_equal(np.unique(batches[1][..., 0]), [2, 3])
    (batch,) = load_batches(toy.config, paths[:1], 4)
    assert batch.shape == (1, 64, 64, 3)
