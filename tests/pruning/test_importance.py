import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.errors import MattingError
from mattingjax.pruning import (
    channel_groups,
    compute_importance,
    recalibrate,
    restore_batch_norm,
    silence,
)
from mattingjax.pruning.gradients import compute_gradients
from tests.pruning.conftest import photos, run, short_graphs


def kernel(checkpoint, path):
    return flatten_dict(checkpoint.variables, sep='/')[f'params/{path}/kernel']


def plain(checkpoint, method, **options):
    return compute_importance(
        checkpoint.config,
        checkpoint.variables,
        method,
        normalise=False,
        scale_invariant=False,
        **options,
    )


@pytest.mark.parametrize('method', ['l1', 'l2', 'bn_scale', 'fpgm', 'random'])
def test_one_number_for_each_channel(modnet, mmnet, method):
    for checkpoint in (modnet, mmnet):
        importance = compute_importance(checkpoint.config, checkpoint.variables, method)
        for group in channel_groups(checkpoint.config):
            assert importance[group.name].shape == (group.width,)
            assert np.all(np.isfinite(importance[group.name]))
            assert np.all(importance[group.name] >= 0)


def test_norms_of_one_kernel(modnet):
    filters = kernel(modnet, 'backbone/features_18/conv').reshape(-1, 10).T.astype(np.float64)
    expected = {
        'l1': [sum(abs(value) for value in row) for row in filters],
        'l2': [sum(value**2 for value in row) ** 0.5 for row in filters],
        'fpgm': [sum(np.linalg.norm(row - other) for other in filters) for row in filters],
    }
    for method, values in expected.items():
        np.testing.assert_allclose(plain(modnet, method)['backbone.last'], values, rtol=1e-6)


def test_aggregation_over_coupled_kernels(modnet):
    expand = np.abs(kernel(modnet, 'backbone/features_2/expand/conv')).sum((0, 1, 2))
    depthwise = np.abs(kernel(modnet, 'backbone/features_2/depthwise/conv')).sum((0, 1, 2))
    for aggregate, expected in (
        ('mean', (expand + depthwise) / 2),
        ('sum', expand + depthwise),
        ('max', np.maximum(expand, depthwise)),
    ):
        found = plain(modnet, 'l1', aggregate=aggregate)['backbone.blocks.1.hidden']
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_batch_norm_scales(modnet):
    scale = np.abs(modnet.variables['params']['backbone']['features_18']['bn']['scale'])
    np.testing.assert_allclose(plain(modnet, 'bn_scale')['backbone.last'], scale)
    # Instance normalisation counts as 1.
    ib_norm = modnet.variables['params']['f_branch']['conv_f_0']['bn']['scale']
    np.testing.assert_allclose(plain(modnet, 'bn_scale')['conv_f'], [*ib_norm, 1, 1])


def test_factors_that_normalisation_undoes_change_nothing(mmnet):
    """Filters ten times as large before a normalisation: the same network."""
    factors = np.geomspace(0.1, 10, 8)
    values = dict(flatten_dict(mmnet.variables, sep='/'))
    values['params/init_block/conv/kernel'] = values['params/init_block/conv/kernel'] * factors
    for name, power in (('mean', 1), ('var', 2)):
        path = f'batch_stats/init_block/bn/{name}'
        values[path] = values[path] * factors**power
    scaled = unflatten_dict(values, sep='/')
    for method in ('l1', 'l2'):
        before, after, raw, raw_after = (
            compute_importance(mmnet.config, tree, method, scale_invariant=invariant)['init']
            for invariant in (True, False)
            for tree in (mmnet.variables, scaled)
        )
        np.testing.assert_allclose(after, before, rtol=1e-5)
        assert not np.allclose(raw_after, raw, rtol=0.1)


def test_restored_normalisation_says_what_the_folded_one_hid(toy):
    from exporters.tensorflow_graph.folding import fold_batch_norm

    batches = [photos(4)]
    with short_graphs():
        true = recalibrate(toy.config, toy.variables, batches)
        folded = fold_batch_norm(toy.config, true)
        restored = restore_batch_norm(toy.config, folded, batches)
    expected = compute_importance(toy.config, true, 'l1')
    for name, values in compute_importance(toy.config, restored, 'l1').items():
        np.testing.assert_allclose(values, expected[name], rtol=0.02)
    hidden = compute_importance(toy.config, folded, 'l1')
    assert any(not np.allclose(hidden[name], expected[name], rtol=0.1) for name in expected)
    with pytest.raises(MattingError, match='bn_scale: every scale of stem is 1'):
        compute_importance(toy.config, folded, 'bn_scale')


def test_factors_that_the_next_layer_undoes_change_nothing(modnet):
    """Channels of se_hidden ten times as large, read by weights a tenth: the same network."""
    factors = np.array([10.0, 1.0, 0.1])
    values = dict(flatten_dict(modnet.variables, sep='/'))
    squeeze, excite = (f'params/lr_branch/se_block/{name}/kernel' for name in ('fc_0', 'fc_2'))
    values[squeeze] = values[squeeze] * factors
    values[excite] = values[excite] / factors[:, None]
    scaled = unflatten_dict(values, sep='/')

    def share(variables, **options):
        values = compute_importance(modnet.config, variables, **options)['se_hidden']
        return values / values.sum()

    np.testing.assert_allclose(share(scaled), share(modnet.variables), rtol=1e-4)
    raw = {'scale_invariant': False}
    assert not np.allclose(share(scaled, **raw), share(modnet.variables, **raw), rtol=0.1)


@pytest.mark.parametrize('method', ['l1', 'bn_scale'])
def test_normalised_numbers_have_mean_one(modnet, method):
    importance = compute_importance(modnet.config, modnet.variables, method, scale_invariant=False)
    for values in importance.values():
        np.testing.assert_allclose(values.mean(), 1, rtol=1e-6)


def test_gradients_are_averaged_one_at_a_time(mmnet):
    """Magnitudes are: photos that pull a channel both ways say that it matters."""
    config, variables = mmnet.config, mmnet.variables
    opposite = jax.tree.map(np.negative, variables['params'])

    def importance(*gradients):
        return compute_importance(config, variables, 'taylor', gradients=iter(gradients))

    expected = importance(variables['params'])
    for name, values in importance(variables['params'], opposite).items():
        np.testing.assert_allclose(values, expected[name])
    with pytest.raises(MattingError, match='taylor: needs gradients'):
        importance()


def test_taylor_predicts_the_change_of_the_loss(mmnet):
    """The derivative along silencing a channel, by finite differences."""
    images = photos(1)
    alphas = np.random.default_rng(1).uniform(size=(1, 64, 64, 1)).astype(np.float32)
    config, variables = mmnet.config, mmnet.variables
    with short_graphs():
        (gradients,) = compute_gradients(config, variables, [(images, alphas)])
    importance = compute_importance(
        config, variables, 'taylor', gradients=[gradients], normalise=False
    )
    aux = alphas.reshape(1, 4, 16, 4, 16, 1).mean((2, 4))

    def loss(variables):
        outputs = run(config, variables, images)
        logits = outputs['aux_logits']
        coarse = 1 / (1 + np.exp(logits[..., :1] - logits[..., 1:]))
        return np.abs(outputs['alpha'] - alphas).mean() + np.abs(coarse - aux).mean()

    share = 1e-2
    for name, channel in (('encoder.9.features', 3), ('final', 2), ('encoder.0.features', 1)):
        width = len(importance[name])
        without = silence(config, variables, {name: np.delete(np.arange(width), channel)})
        nudged = jax.tree.map(lambda a, b: a + share * (b - a), variables, without)
        change = abs(loss(nudged) - loss(variables)) / share
        np.testing.assert_allclose(importance[name][channel], change, rtol=0.1, atol=1e-4)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'method': 'l3'}, "method: expected one of l1, .*, got 'l3'"),
        ({'aggregate': 'median'}, "aggregate: expected one of mean, sum, max, got 'median'"),
        ({'method': 'taylor'}, 'taylor: needs gradients'),
    ],
)
def test_impossible_settings(mmnet, options, message):
    with pytest.raises(MattingError, match=message):
        compute_importance(mmnet.config, mmnet.variables, **options)


def test_random_is_repeatable(mmnet):
    first, again, other = (
        compute_importance(mmnet.config, mmnet.variables, 'random', seed=seed)['init']
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
