import dataclasses

import jax
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mattingjax import import_weights
from mattingjax.checkpoints import Checkpoint
from mattingjax.errors import MattingError
from mattingjax.networks import create_model, normalise, variable_shapes
from mattingjax.pruning import channel_groups, prune, silence, slice_tree
from mattingjax.pruning.surgery import check_keep_indices
from tests.pruning.conftest import choose, compile_quickly, photos, run, selections

slow = settings(
    deadline=None,
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=['toy', 'modnet', 'mmnet', 'deeplab'])
def checkpoint(request) -> Checkpoint:
    return request.getfixturevalue(request.param)


def assert_same(outputs, others, tolerance=1e-4):
    assert outputs.keys() == others.keys()
    for name, value in outputs.items():
        np.testing.assert_allclose(value, others[name], atol=tolerance, err_msg=name)


def silence_normalisation(config, variables, keep):
    """Zero scale and bias of every batch normalisation of the removed channels.

    Of IBNorm's other half, which has neither, what comes in is zeroed: the convolution's filter.
    """
    values = {path: np.array(value) for path, value in flatten_dict(variables, sep='/').items()}
    for group in channel_groups(config):
        removed = np.setdiff1d(np.arange(group.width), keep[group.name])
        for part in group.having('companion'):
            if part.path.endswith(('/bn/scale', '/bn/bias')) and part.path.startswith('params/'):
                values[part.path][removed[removed < part.count]] = 0
        if group.is_halved:
            others = removed[removed >= group.width // 2]
            (kernel,) = group.having('output')
            values[kernel.path][..., others] = 0
            values[kernel.path.replace('/kernel', '/bias')][others] = 0
    return unflatten_dict(values, sep='/')


@slow
@given(data=st.data())
def test_any_channels_may_go(toy, data):
    config, variables = toy.config, toy.variables
    keep = data.draw(selections(config))
    new_config, new_variables, report = prune(config, variables, keep)
    images = photos()
    outputs = run(new_config, new_variables, images)
    assert_same(outputs, run(config, silence(config, variables, keep), images))
    for group in channel_groups(config):
        assert report.widths[group.name] == (group.width, len(keep[group.name]))


def test_one_channel_left_everywhere(checkpoint):
    config, variables = checkpoint.config, checkpoint.variables
    rng = np.random.default_rng(1)
    keep = {g.name: choose(g, g.minimum, rng) for g in channel_groups(config)}
    new_config, new_variables, _ = prune(config, variables, keep)
    images = photos()
    outputs = run(new_config, new_variables, images)
    assert_same(outputs, run(config, silence(config, variables, keep), images))


def test_real_weights_are_cut_exactly(shared):
    """Trained, with batch normalisation folded in; on small photos."""
    dense = import_weights(shared / 'weights' / 'modnet_photographic.onnx')
    config, variables = dataclasses.replace(dense.config, input_size=64), dense.variables
    rng = np.random.default_rng(4)
    keep = {}
    for group in channel_groups(config):
        width = int(rng.integers(group.width // 4, group.width + 1))
        keep[group.name] = choose(group, width, rng)
    new_config, new_variables, _ = prune(config, variables, keep)
    outputs = run(new_config, new_variables, photos())
    assert_same(outputs, run(config, silence(config, variables, keep), photos()))


@pytest.mark.parametrize(
    'seed', [2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 14))]
)
def test_pruned_is_the_dense_network_with_channels_silenced(checkpoint, seed):
    """By zeros wherever they are read, or in their normalisation, where they have one."""
    config, variables = checkpoint.config, checkpoint.variables
    rng = np.random.default_rng(seed)
    keep, without_norm = {}, {}
    for group in channel_groups(config):
        keep[group.name] = choose(group, int(rng.integers(group.minimum, group.width + 1)), rng)
        if not any(part.path.endswith('/bn/scale') for part in group.slices):
            without_norm[group.name] = keep[group.name]
    images = photos()
    new_config, new_variables, report = prune(config, variables, keep)
    outputs = run(new_config, new_variables, images)
    assert_same(outputs, run(config, silence(config, variables, keep), images))
    for group in channel_groups(config):
        assert report.widths[group.name] == (group.width, len(keep[group.name]))
    silenced = silence(config, variables, without_norm)
    assert_same(outputs, run(config, silence_normalisation(config, silenced, keep), images))


def test_nothing_removed_changes_nothing(checkpoint):
    config, variables, _ = prune(checkpoint.config, checkpoint.variables, {})
    assert config == checkpoint.config
    jax.tree.map(np.testing.assert_array_equal, variables, checkpoint.variables)


def test_pruning_twice_is_pruning_once(checkpoint):
    config, variables = checkpoint.config, checkpoint.variables
    rng = np.random.default_rng(3)
    first, second, both = {}, {}, {}
    for group in channel_groups(config):
        kept = np.sort(choose(group, max(group.minimum, group.width - 1), rng))
        first[group.name] = kept
    once_config, once, _ = prune(config, variables, first)
    for group in channel_groups(once_config):
        second[group.name] = np.sort(choose(group, max(group.minimum, group.width - 1), rng))
        both[group.name] = first[group.name][second[group.name]]
    twice_config, twice, _ = prune(once_config, once, second)
    config, variables, _ = prune(config, variables, both)
    assert twice_config == config
    jax.tree.map(np.testing.assert_array_equal, twice, variables)


def test_shortcuts_stay_as_they_are(modnet):
    """Equal widths that pruning makes by chance do not make a shortcut."""
    keep = {
        group.name: choose(group, 2, np.random.default_rng(0))
        for group in channel_groups(modnet.config)
    }
    new_config, _, _ = prune(modnet.config, modnet.variables, keep)
    before = [block.shortcut for block in modnet.config.architecture.backbone.blocks]
    after = [block.shortcut for block in new_config.architecture.backbone.blocks]
    assert before == after
    assert len({block.features for block in new_config.architecture.backbone.blocks}) == 1


def test_inputs_are_not_changed(mmnet):
    copies = jax.tree.map(np.array, mmnet.variables)
    keep = {'init': [0], 'final': [1, 3]}
    prune(mmnet.config, mmnet.variables, keep)
    silence(mmnet.config, mmnet.variables, keep)
    jax.tree.map(np.testing.assert_array_equal, mmnet.variables, copies)


def test_an_optimizer_is_cut_too(toy):
    """One training step with Adam before and after pruning: the same losses."""
    config = toy.config
    groups = channel_groups(config)
    rng = np.random.default_rng(4)
    keep = {group.name: choose(group, -(-group.width // 2), rng) for group in groups}
    images = photos()
    target = rng.uniform(size=(2, 64, 64, 1)).astype(np.float32)
    tx = optax.adam(1e-2)

    def make_step(config):
        def loss(params, batch_stats):
            outputs, _ = create_model(config).apply(
                {'params': params, 'batch_stats': batch_stats},
                normalise(config.preprocessing, images),
                train=True,
                mutable=['batch_stats'],
            )
            return abs(outputs['alpha'] - target).mean() + (outputs['semantic'] ** 2).mean()

        def step(params, batch_stats, state):
            value, gradient = jax.value_and_grad(loss)(params, batch_stats)
            updates, state = tx.update(gradient, state)
            return value, optax.apply_updates(params, updates), state

        return step

    silenced = silence(config, toy.variables, keep)
    params, stats = silenced['params'], silenced['batch_stats']
    state = tx.init(params)
    # A state as it is in the middle of training.
    state = jax.tree.map(lambda x: x + rng.uniform(0.1, 1, x.shape).astype(x.dtype), state)
    dense_step = compile_quickly(make_step(config), params, stats, state)
    new_config, small, _ = prune(config, silenced, keep)
    small_params, small_stats = small['params'], small['batch_stats']
    small_state = slice_tree(config, state, keep)
    small_step = compile_quickly(make_step(new_config), small_params, small_stats, small_state)
    for _ in range(2):
        dense_loss, params, state = dense_step(params, stats, state)
        small_loss, small_params, small_state = small_step(small_params, small_stats, small_state)
        np.testing.assert_allclose(small_loss, dense_loss, rtol=1e-5)
        # Nothing keeps the dense network's silenced weights at zero but this.
        params = silence(config, {'params': params, 'batch_stats': stats}, keep)['params']
        kept = slice_tree(config, params, keep)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), kept, small_params)


def test_trees_around_variables_are_cut(mmnet):
    keep = {'init': [1, 2]}
    tree = {'ema': mmnet.variables, 'step': np.int32(3), 'others': [mmnet.variables['params']]}
    cut = slice_tree(mmnet.config, tree, keep)
    assert cut['ema']['params']['init_block']['conv']['kernel'].shape == (3, 3, 3, 2)
    assert cut['ema']['batch_stats']['init_block']['bn']['mean'].shape == (2,)
    assert cut['others'][0]['init_block']['conv']['kernel'].shape == (3, 3, 3, 2)
    assert cut['step'] == 3
    wrong = {'init_block': {'conv': {'kernel': np.zeros((3, 3, 3, 5))}}}
    with pytest.raises(MattingError, match=r'init_block.*expected shape \(3, 3, 3, 8\)'):
        slice_tree(mmnet.config, wrong, keep)


@pytest.mark.parametrize(
    ('network', 'keep', 'message'),
    [
        ('mmnet', {'init': []}, 'init: the group would vanish; expected at least 1 of its 8'),
        ('modnet', {'conv_f': [0]}, 'conv_f: the group would vanish; expected at least 2 of its 4'),
        ('mmnet', {'init': [0, 8]}, 'init: expected different channels from 0 to 7'),
        ('mmnet', {'init': [0, 0]}, 'init: expected different channels'),
        ('mmnet', {'stem': [0]}, 'stem: no channel group of mmnet'),
        ('modnet', {'conv_f': [2, 3]}, 'conv_f: expected 1 of the 2 channels from the first 2'),
    ],
)
def test_impossible_indices(request, network, keep, message):
    checkpoint = request.getfixturevalue(network)
    with pytest.raises(MattingError, match=message):
        prune(checkpoint.config, checkpoint.variables, keep)


def test_shapes_of_the_result(checkpoint):
    config = checkpoint.config
    keep = check_keep_indices(
        config,
        {g.name: choose(g, g.minimum, np.random.default_rng(5)) for g in channel_groups(config)},
    )
    new_config, variables, _ = prune(config, checkpoint.variables, keep)
    expected = variable_shapes(new_config)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, expected)
