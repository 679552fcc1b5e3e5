import jax
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from mattingjax.checkpoints import hash_checkpoint, load_checkpoint
from mattingjax.config import train_config
from mattingjax.errors import MattingError
from mattingjax.training.experiment import create_experiment
from mattingjax.training.settings import complete_settings
from mattingjax.training.state import create_state, join, split


def test_frozen_parameters_are_apart_and_come_back(modnet):
    params = modnet.variables['params']
    trained, frozen = split(params, ('backbone/*', '*/bn/*'))
    trained_paths, frozen_paths = (set(flatten_dict(tree, sep='/')) for tree in (trained, frozen))
    assert trained_paths
    assert not trained_paths & frozen_paths
    assert all(path.startswith('backbone/') or '/bn/' in path for path in frozen_paths)
    assert not any(path.startswith('backbone/') or '/bn/' in path for path in trained_paths)
    joined = join(trained, frozen)
    assert jax.tree.structure(joined) == jax.tree.structure(params)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, joined, params)))


def test_patterns_that_match_nothing_or_all_are_named(modnet):
    params = modnet.variables['params']
    with pytest.raises(MattingError, match=r'freeze: backbon/\*: no parameter has such a path'):
        split(params, ('backbon/*',))
    with pytest.raises(MattingError, match=r'nothing is left to train'):
        split(params, ('*',))


def test_the_averages_are_what_is_validated(toy):
    state = create_state(toy.variables, optax.sgd(0.1), averaged=True)
    state = state.replace(params=jax.tree.map(lambda leaf: leaf + 1, state.params))
    now = state.variables(averaged=False)['params']
    averaged = state.variables()['params']
    assert all(
        np.allclose(new, old + 1)
        for new, old in zip(jax.tree.leaves(now), jax.tree.leaves(averaged), strict=True)
    )
    without = create_state(toy.variables, optax.sgd(0.1))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, without.variables(), toy.variables)))


def test_from_scratch_what_is_frozen_is_the_checkpoints(modnet, modnet_path):
    config = train_config('modnet')
    config.model.checkpoint = str(modnet_path)
    config.model.from_scratch = True
    config.model.freeze = ('backbone/*', 'lr_branch/*/bn/*')
    config.dataset.kind = 'synthetic'
    found = flatten_dict(create_experiment(complete_settings(config)).initial.variables, sep='/')
    loaded = flatten_dict(modnet.variables, sep='/')
    assert found.keys() == loaded.keys()
    kept = {
        path
        for path in loaded
        if '/backbone/' in f'/{path}' or ('lr_branch' in path and '/bn/' in path)
    }
    assert {path.split('/')[0] for path in kept} == {'params', 'batch_stats'}
    for path, value in loaded.items():
        assert np.array_equal(found[path], value) == (path in kept), path
    # Its origin is the checkpoint that was named, not what was drawn.
    start = create_experiment(complete_settings(config)).origin['start']
    assert start['checkpoint'] == str(modnet_path)
    assert start['sha256'] == hash_checkpoint(load_checkpoint(modnet_path))
