"""What holds for every network; equality with the originals is in tests/importers."""

import functools

import flax.linen as nn
import flax.traverse_util
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mattingjax.networks import (
    MMNetConfig,
    apply_model,
    create_model,
    create_model_config,
    init_variables,
    layers,
    variable_shapes,
    with_dropout,
)
from mattingjax.networks.mmnet.module import DecoderBlock, EncoderBlock, EncoderBlockConfig
from mattingjax.networks.mobilenet_v2 import InvertedResidual, InvertedResidualConfig
from mattingjax.networks.modnet import module
from tests.networks.test_architectures import mmnet_configs, modnet_configs


def count(tree) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def test_modnet_parameter_count():
    shapes = variable_shapes(create_model_config('modnet'))
    assert count(shapes['params']) == 6_487_075


@pytest.mark.parametrize(
    ('multiplier', 'variables'), [(1.0, 199_420), (0.75, 127_244), (0.5, 68_996), (1.4, 368_876)]
)
def test_mmnet_variable_count(multiplier, variables):
    config = create_model_config('mmnet', MMNetConfig.from_multiplier(multiplier))
    assert count(variable_shapes(config)) == variables


def kernel_widths(config) -> dict[str, int]:
    flat = flax.traverse_util.flatten_dict(variable_shapes(config)['params'], sep='/')
    return {path: leaf.shape[-1] for path, leaf in flat.items() if path.endswith('kernel')}


small, ibnorm_small = st.integers(1, 9), st.integers(2, 9)


@settings(max_examples=8, deadline=None)
@given(modnet_configs(widths=small, ibnorm_widths=ibnorm_small))
def test_modnet_has_the_widths_that_its_config_promises(architecture):
    widths = kernel_widths(create_model_config('modnet', architecture))
    backbone = architecture.backbone
    assert widths['backbone/features_0/conv/kernel'] == backbone.stem
    assert widths['backbone/features_18/conv/kernel'] == backbone.last
    for i, block in enumerate(backbone.blocks, start=1):
        path = f'backbone/features_{i}'
        assert (f'{path}/expand/conv/kernel' in widths) == block.expand
        assert widths[f'{path}/depthwise/conv/kernel'] == block.hidden
        assert widths[f'{path}/project/conv/kernel'] == block.features
    assert widths['lr_branch/se_block/fc_0/kernel'] == architecture.se_hidden
    assert widths['hr_branch/conv_hr_0/conv/kernel'] == architecture.conv_hr
    assert widths['f_branch/conv_f_0/conv/kernel'] == architecture.conv_f
    for branch, names in {
        'lr': ['conv_lr16x', 'conv_lr8x'],
        'hr': ['tohr_enc2x', 'conv_enc2x', 'tohr_enc4x', 'conv_enc4x'],
        'f': ['conv_lr4x', 'conv_f2x'],
    }.items():
        for name in names:
            assert widths[f'{branch}_branch/{name}/conv/kernel'] == getattr(architecture, name)
    for name in ('conv_hr4x', 'conv_hr2x'):
        for i, width in enumerate(getattr(architecture, name)):
            assert widths[f'hr_branch/{name}_{i}/conv/kernel'] == width


@settings(max_examples=8, deadline=None)
@given(mmnet_configs(widths=small))
def test_mmnet_has_the_widths_that_its_config_promises(architecture):
    widths = kernel_widths(create_model_config('mmnet', architecture))
    assert widths['init_block/conv/kernel'] == architecture.init
    assert widths['dec_block4/conv/kernel'] == architecture.final
    blocks = {f'enc_block{i}': block for i, block in enumerate(architecture.encoder)}
    blocks |= {f'dec_block{i + 2}': block for i, block in enumerate(architecture.refinement)}
    for name, block in blocks.items():
        assert widths[f'{name}/merge/conv/kernel'] == block.features
        for branch, width in enumerate(block.expanded):
            assert widths[f'{name}/branch{branch}_dilation/conv/kernel'] == width
    for i in (0, 1):
        assert widths[f'dec_block{i}/pointwise/conv/kernel'] == architecture.compressed[i]
        assert widths[f'dec_block{i}/shortcut_pointwise/conv/kernel'] == architecture.shortcut[i]


@pytest.mark.parametrize('name', ['modnet', 'mmnet', 'deeplab'])
def test_initialised_variables_have_the_promised_shapes(name, request):
    config = request.getfixturevalue(name).config
    variables = init_variables(config, seed=1)
    promised = variable_shapes(config)
    assert jax.tree.structure(variables) == jax.tree.structure(promised)
    same = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, variables, promised)
    assert all(jax.tree.leaves(same))
    again = init_variables(config, seed=1)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, variables, again)))


def test_shapes_are_the_callers_own(mmnet):
    shapes = variable_shapes(mmnet.config)
    shapes['params']['init_block'].clear()
    del shapes['batch_stats']
    assert set(variable_shapes(mmnet.config)) == {'params', 'batch_stats'}
    assert variable_shapes(mmnet.config)['params']['init_block']


def outputs_of(checkpoint, **options) -> dict:
    images = np.full((2, 64, 96, 3), 100.0, np.float32)
    shapes = jax.eval_shape(
        lambda variables: apply_model(checkpoint.config, variables, images, **options),
        checkpoint.variables,
    )
    return {name: shape.shape for name, shape in shapes.items()}


def test_modnet_outputs(modnet):
    assert outputs_of(modnet) == {'alpha': (2, 64, 96, 1)}
    assert outputs_of(modnet, auxiliary=True) == {
        'alpha': (2, 64, 96, 1),
        'semantic': (2, 4, 6, 1),
        'detail': (2, 64, 96, 1),
    }


def test_mmnet_outputs(mmnet):
    assert outputs_of(mmnet) == {'alpha': (2, 64, 96, 1), 'logits': (2, 64, 96, 2)}
    assert outputs_of(mmnet, auxiliary=True)['aux_logits'] == (2, 4, 6, 2)


@pytest.mark.parametrize('name', ['modnet', 'mmnet'])
def test_inference_needs_no_variable_of_the_training_heads(name, request):
    checkpoint = request.getfixturevalue(name)
    heads = {'modnet': ['lr_branch/conv_lr/', 'hr_branch/conv_hr_'], 'mmnet': ['aux_block/']}[name]
    flat = flax.traverse_util.flatten_dict(checkpoint.variables, sep='/')
    kept = {path: v for path, v in flat.items() if not any(head in path for head in heads)}
    assert len(kept) < len(flat)
    variables = flax.traverse_util.unflatten_dict(kept, sep='/')
    shape = jax.eval_shape(
        lambda v: apply_model(checkpoint.config, v, np.zeros((1, 64, 64, 3), np.float32)),
        variables,
    )
    assert shape['alpha'].shape == (1, 64, 64, 1)


@pytest.mark.parametrize('name', ['modnet', 'mmnet', 'deeplab'])
def test_training_returns_every_head_and_updates_the_statistics(name, request):
    checkpoint = request.getfixturevalue(name)
    model = create_model(checkpoint.config)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)

    # Compiled fast rather than running fast.
    @functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})
    def step(variables):
        return model.apply(variables, images, train=True, mutable=['batch_stats'])

    outputs, updates = step(checkpoint.variables)
    assert (
        set(outputs)
        == {
            'modnet': {'alpha', 'semantic', 'detail'},
            'mmnet': {'alpha', 'logits', 'aux_logits'},
            'deeplab': {'alpha', 'logits'},
        }[name]
    )
    before = jax.tree.leaves(checkpoint.variables['batch_stats'])
    after = jax.tree.leaves(updates['batch_stats'])
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ('unit', 'momentum', 'epsilon', 'channels'),
    [
        (lambda: module.ConvIBNormReLU(6, 1), 0.9, 1e-5, 3),
        (lambda: InvertedResidual(InvertedResidualConfig(5, 6, False), 1), 0.9, 1e-5, 6),
        (lambda: DecoderBlock(6, 4), 0.999, 1e-3, 6),
    ],
    ids=['modnet branches', 'modnet backbone', 'mmnet'],
)
def test_batch_norm_in_training(unit, momentum, epsilon, channels):
    """The last BatchNorm's statistics and output, from its convolution's output by NumPy."""
    rng = np.random.default_rng(0)
    x = (100 + rng.standard_normal((2, 8, 8, 5))).astype(np.float32)
    module = unit()
    arguments = (x[:, ::2, ::2], x) if isinstance(module, DecoderBlock) else (x,)
    variables = module.init(jax.random.key(0), *arguments, train=False)
    layer = next((name for name in ('project', 'pointwise') if name in variables['params']), '')
    seen = {}

    def record(next_call, args, kwargs, context):
        output = next_call(*args, **kwargs)
        if isinstance(context.module, layers.BatchNorm):
            seen['/'.join(context.module.path)] = np.asarray(args[0]), np.asarray(output)
        return output

    with nn.intercept_methods(record):
        _, updates = module.apply(variables, *arguments, train=True, mutable=['batch_stats'])
    path = f'{layer}/bn' if layer else 'bn'
    before, after = seen[path]
    assert before.shape[-1] == channels
    mean, variance = before.mean(axis=(0, 1, 2)), before.var(axis=(0, 1, 2))
    statistics = flax.traverse_util.flatten_dict(updates['batch_stats'], sep='/')
    # They start at 0 and 1.
    new_mean, new_variance = (1 - momentum) * mean, momentum + (1 - momentum) * variance
    np.testing.assert_allclose(statistics[f'{path}/mean'], new_mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(statistics[f'{path}/var'], new_variance, rtol=1e-4, atol=1e-5)
    expected = (before - mean) / np.sqrt(variance + epsilon)
    np.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-3)


def test_every_encoder_block_has_a_dropout():
    config = with_dropout(create_model_config('mmnet', MMNetConfig.from_multiplier(0.25)), 0.5)
    blocks = []

    def record(next_call, args, kwargs, context):
        if isinstance(context.module, nn.Dropout):
            blocks.append((context.module.path[0], context.module.rate))
        return next_call(*args, **kwargs)

    with nn.intercept_methods(record):
        jax.eval_shape(
            lambda: create_model(config).init(
                {'params': jax.random.key(0), 'dropout': jax.random.key(1)},
                np.zeros((1, 32, 32, 3), np.float32),
                train=True,
            )
        )
    names = [f'enc_block{i}' for i in range(10)] + ['dec_block2', 'dec_block3']
    assert blocks == [(name, 0.5) for name in names]


def test_dropout_drops_in_training_alone():
    block = EncoderBlock(EncoderBlockConfig((4, 5), 7), (1, 2), 1, dropout=0.5)
    x = np.random.default_rng(0).uniform(0, 1, (1, 16, 16, 3)).astype(np.float32)
    variables = jax.jit(functools.partial(block.init, train=False))(jax.random.key(0), x)

    @jax.jit
    def train(rng):
        outputs, _ = block.apply(
            variables, x, train=True, mutable=['batch_stats'], rngs={'dropout': rng}
        )
        return outputs

    first, second = train(jax.random.key(0)), train(jax.random.key(1))
    assert not np.allclose(first, second)
    assert 0.3 < (np.asarray(first) == 0).mean() < 0.7
    apply = jax.jit(functools.partial(block.apply, train=False))
    np.testing.assert_array_equal(apply(variables, x), apply(variables, x))
    assert (np.asarray(apply(variables, x)) != 0).all()


def test_apply_names_a_wrong_size(modnet):
    with pytest.raises(ValueError, match=r'images: expected a width .* multiple of 32 .* got 70'):
        modnet.apply(np.zeros((1, 64, 70, 3), np.float32))
    with pytest.raises(ValueError, match=r'expected shape \[N, H, W, 3\], got \(64, 64, 3\)'):
        modnet.apply(np.zeros((64, 64, 3), np.float32))
