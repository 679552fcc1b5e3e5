"""Mobile DeepLabv3's layers and loss; equality with TF-Slim's is in tests/importers."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import special

from mattingjax.errors import ConfigError, MattingError
from mattingjax.networks import create_model_config, variable_shapes
from mattingjax.networks.complexity import create_published_config, measure_complexity
from mattingjax.networks.deeplab import DeepLabASPPConfig, DeepLabConfig
from mattingjax.networks.deeplab.loss import deeplab_loss
from mattingjax.networks.deeplab.module import GEOMETRY, _enlarge
from mattingjax.networks.losses import alpha_loss, composition_loss, gradient_loss, kd_loss
from tests.networks.losses import alphas, assert_finite_gradient
from tests.slim_deeplab import BLOCKS, WIDTHS, write_slim_deeplab


def count(tree) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize('multiplier', WIDTHS)
def test_widths_round_as_tf_slim_rounds(multiplier):
    architecture = DeepLabConfig.from_multiplier(multiplier)
    blocks = architecture.blocks
    assert (architecture.stem, *(block.features for block in blocks)) == WIDTHS[multiplier]
    inputs = WIDTHS[multiplier]
    for i, (block, (expansion, *_)) in enumerate(zip(blocks, BLOCKS, strict=True)):
        assert (block.hidden, block.expand) == (expansion * inputs[i], expansion > 1)
    published = [i for i, block in enumerate(blocks) if block.shortcut]
    assert published == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]
    assert (architecture.image_pooling, architecture.aspp, architecture.projection) == (
        256, (256,), 256
    )  # fmt: skip


def test_strides_and_dilations_are_those_of_output_stride_16():
    assert tuple((stride, dilation) for _, _, stride, dilation in BLOCKS) == GEOMETRY
    layers = {
        layer['name']: layer
        for layer in measure_complexity(create_model_config('deeplab'), 256, 384)['layers']
    }
    height, width = 128, 192
    assert layers['stem/conv']['output'] == [height, width, 32]
    for i, (_, channels, stride, _) in enumerate(BLOCKS):
        height, width = height // stride, width // stride
        assert layers[f'block{i}/project/conv']['output'] == [height, width, channels]
    assert (height, width) == (16, 24)
    assert layers['image_pooling/conv']['output'] == [1, 1, 256]
    assert layers['logits']['output'] == [16, 24, 2]


def test_parameters_are_the_published_ones_less_the_classes(tmp_path):
    """Of the network that TensorFlow publishes for PASCAL VOC, with 21 classes: 2.1 million."""
    parameters = count(variable_shapes(create_model_config('deeplab'))['params'])
    assert parameters + (21 - 2) * (256 + 1) == 2_113_557
    # By hand: each convolution's kernel with two numbers for each of its channels.
    expected = 27 * 32 + 2 * 32
    inputs = 32
    for expansion, channels, _, _ in BLOCKS:
        hidden = expansion * inputs
        expected += (inputs * hidden + 2 * hidden) * (expansion > 1)
        expected += 9 * hidden + 2 * hidden + hidden * channels + 2 * channels
        inputs = channels
    expected += 2 * 320 * 256 + 512 * 256 + 3 * 2 * 256 + 256 * 2 + 2
    assert parameters == expected
    pytest.importorskip('tensorflow')
    slim = write_slim_deeplab(tmp_path / 'a', WIDTHS[1.0], classes=21, head=256, size=(16, 16))
    assert slim.trainable == 2_113_557


@pytest.mark.parametrize(
    ('multiplier', 'parameters'), [(0.35, 440_674), (0.5, 695_362), (0.75, 1_301_666)]
)
def test_parameters_of_narrower_ones(multiplier, parameters):
    config = create_published_config('deeplab', multiplier)
    assert count(variable_shapes(config)['params']) == parameters


def test_the_pyramid_has_three_atrous_branches_more():
    plain, atrous = (create_model_config(name) for name in ('deeplab', 'deeplab_aspp'))
    assert atrous.architecture.aspp == (256,) * 4
    # Each a depthwise and a 1×1 convolution, and as many channels more for the projection.
    branch = 9 * 320 + 2 * 320 + 320 * 256 + 2 * 256 + 256 * 256
    difference = [count(variable_shapes(config)['params']) for config in (atrous, plain)]
    assert difference[0] - difference[1] == 3 * branch
    narrow = create_published_config('deeplab_aspp', 0.5)
    assert isinstance(narrow.architecture, DeepLabASPPConfig)
    assert (narrow.architecture.stem, narrow.architecture.aspp) == (16, (256,) * 4)


def test_enlarging_is_the_published_one():
    """33 pixels to 513 with their corners aligned, and what TensorFlow 1 makes of the rest."""
    tf = pytest.importorskip('tensorflow').compat.v1
    x = np.random.default_rng(0).normal(size=(1, 5, 7, 2)).astype(np.float32)
    ours = _enlarge(x)
    assert ours.shape == (1, 80, 112, 2)
    corners = tf.image.resize_bilinear(x, (65, 97), align_corners=True).numpy()
    np.testing.assert_allclose(ours[:, :65, :97], corners, atol=1e-5)
    np.testing.assert_allclose(ours, tf.image.resize_bilinear(x, (80, 112)).numpy(), atol=1e-5)


def test_pooled_features_count_at_every_pixel(deeplab):
    """A change of the photo in one corner reaches the opposite one through the mean alone."""
    images = np.random.default_rng(0).uniform(0, 255, (1, 1024, 1024, 3)).astype(np.float32)
    changed = images.copy()
    changed[:, :64, :64] = 0
    before, after = (
        np.asarray(deeplab.apply(x)['logits'])[:, -64:, -64:] for x in (images, changed)
    )
    difference = after - before
    assert np.abs(difference).max() > 1e-5
    variables = {name: dict(tree) for name, tree in deeplab.variables.items()}
    kernel = np.array(variables['params']['concat_projection']['conv']['kernel'])
    kernel[:, :, : deeplab.config.architecture.image_pooling] = 0
    variables['params']['concat_projection'] = {
        **variables['params']['concat_projection'], 'conv': {'kernel': kernel}
    }  # fmt: skip
    without = dataclasses.replace(deeplab, variables=variables)
    before, after = (
        np.asarray(without.apply(x)['logits'])[:, -64:, -64:] for x in (images, changed)
    )
    np.testing.assert_array_equal(before, after)


def test_it_takes_any_multiple_of_its_stride(deeplab):
    outputs = deeplab.apply(np.full((2, 32, 48, 3), 100, np.float32))
    assert {name: value.shape for name, value in outputs.items()} == {
        'alpha': (2, 32, 48, 1), 'logits': (2, 32, 48, 2)
    }  # fmt: skip
    alpha = special.softmax(np.asarray(outputs['logits'], float), axis=-1)[..., 1:]
    np.testing.assert_allclose(outputs['alpha'], alpha, atol=1e-6)
    with pytest.raises(ValueError, match=r'height .* multiple of 16 pixels, .* got 40'):
        deeplab.apply(np.zeros((1, 40, 48, 3), np.float32))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'stem': 0}, r'DeepLabConfig.stem: expected a width of 1 to 65536, got 0'),
        ({'aspp': [8, 8]}, r'DeepLabConfig.aspp: expected 1 or 4 widths, got \(8, 8\)'),
        ({'aspp': [0]}, r'DeepLabConfig.aspp.0: expected a width of 1 to 65536, got 0'),
        ({'dropout': 1.0}, r'DeepLabConfig.dropout: expected a share in \[0, 1\), got 1.0'),
        ({'blocks': []}, r'DeepLabConfig.blocks: expected 17 blocks, got \(\)'),
        ({'stem': 16}, r'DeepLabConfig.blocks.0.hidden: expected 16, the width of its input'),
        ({'head': 8}, r'DeepLabConfig.head: unknown field'),
    ],
)
def test_errors_name_field_and_value(change, message):
    with pytest.raises(ConfigError, match=message):
        DeepLabConfig.from_dict(DeepLabConfig().to_dict() | change)


def test_a_shortcut_needs_equal_widths_and_stride_one():
    for i, inputs in ((1, 16), (13, 96)):
        blocks = list(DeepLabConfig().blocks)
        blocks[i] = dataclasses.replace(blocks[i], shortcut=True)
        message = rf'blocks.{i}.shortcut: expected no shortcut \(stride . {inputs} channels in'
        with pytest.raises(ConfigError, match=message.replace('stride .', r'stride \d,')):
            DeepLabConfig(blocks=tuple(blocks))


@pytest.mark.parametrize('multiplier', [0, -1, 101, '1'])
def test_a_multiplier_that_is_none(multiplier):
    with pytest.raises(ConfigError, match='width multiplier: expected over 0, at most 100, got'):
        DeepLabConfig.from_multiplier(multiplier)


def test_the_loss_is_the_mean_of_its_four_terms():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 32, 48, 2)).astype(np.float32)
    outputs = {'alpha': special.softmax(logits, axis=-1)[..., 1:], 'logits': logits}
    true, image = alphas(1, 2, 32, 48, 1), rng.uniform(-1, 1, (2, 32, 48, 3)).astype(np.float32)
    loss, terms = deeplab_loss(outputs, true, image)
    assert terms == {
        'alpha': alpha_loss(outputs['alpha'], true),
        'composition': composition_loss(outputs['alpha'], true, (image + 1) / 2),
        'gradient': gradient_loss(outputs['alpha'], true),
        'kd': kd_loss(logits, true),
    }
    assert loss == pytest.approx(sum(map(float, terms.values())) / 4, rel=1e-6)
    assert_finite_gradient(lambda *arrays: deeplab_loss(*arrays)[0], outputs, true, image)
    with pytest.raises(MattingError, match=r'image: expected shape'):
        deeplab_loss(outputs, true, image[..., :1])
