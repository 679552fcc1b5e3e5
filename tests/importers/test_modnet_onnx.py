"""An export as PyTorch writes it: BatchNorm of the backbone folded, its weights renamed."""

import dataclasses

import flax.traverse_util
import numpy as np
import pytest

from mattingjax import MattingError, import_weights
from mattingjax.importers.modnet_names import TRAINING_HEADS
from tests.torch_files import as_state_dict

onnx = pytest.importorskip('onnx')


@pytest.fixture
def export(modnet):
    """The graph's nodes in order, each with its type and its named weights."""
    tensors = as_state_dict(modnet, prefix='')
    backbone = modnet.config.architecture.backbone
    modules = ['features.0.0']
    for i, block in enumerate(backbone.blocks, start=1):
        modules += [f'features.{i}.conv.{3 * unit}' for unit in range(2 + block.expand)]
    modules.append('features.18.0')
    nodes, number = [], 1000
    for module in modules:
        conv = f'backbone.model.{module}'
        stem, position = conv.rsplit('.', 1)
        norm = f'{stem}.{int(position) + 1}'
        scale = tensors[f'{norm}.weight'] / np.sqrt(tensors[f'{norm}.running_var'] + 1e-5)
        bias = tensors[f'{norm}.bias'] - tensors[f'{norm}.running_mean'] * scale
        weight = tensors[f'{conv}.weight'] * scale[:, None, None, None]
        nodes.append(('Conv', {str(number): weight, str(number + 1): bias}))
        number += 2
    for position in (0, 2):
        gate = tensors[f'lr_branch.se_block.fc.{position}.weight'].T
        nodes.append(('MatMul', {str(number): gate}))
        number += 1
    for name, tensor in tensors.items():
        used = not name.startswith(('backbone', 'lr_branch.se_block', *TRAINING_HEADS))
        if used:
            nodes.append(('BatchNormalization' if 'bnorm' in name else 'Conv', {name: tensor}))
    return nodes


def write(path, nodes, more=()):
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node(kind, ['x', *weights], [f'y{i}'])
            for i, (kind, weights) in enumerate(nodes)
        ],
        'modnet',
        [],
        [],
        [
            onnx.numpy_helper.from_array(np.ascontiguousarray(tensor), name)
            for _, weights in [*nodes, *more]
            for name, tensor in weights.items()
        ],
    )
    onnx.save(onnx.helper.make_model(graph), path)


def test_folded_weights_compute_the_same(modnet, export, tmp_path):
    write(tmp_path / 'modnet.onnx', export)
    imported = import_weights(tmp_path / 'modnet.onnx')
    # The export does not tell the width of the detail head: it gets that of its input.
    architecture = modnet.config.architecture
    expected = dataclasses.replace(architecture, conv_hr=architecture.conv_hr2x[-1])
    assert imported.config.architecture == expected
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    alpha = imported.apply(images)['alpha']
    assert 0.01 < alpha.mean() < 0.99
    np.testing.assert_allclose(alpha, modnet.apply(images)['alpha'], atol=1e-4)
    # The training heads are initialised anew, and listed.
    initialised = imported.config.provenance['initialised']
    assert initialised
    assert all(name.startswith(TRAINING_HEADS) for name in initialised)
    flat = flax.traverse_util.flatten_dict(imported.variables, sep='/')
    assert (flat['params/backbone/features_0/bn/scale'] == 1).all()


def test_a_missing_convolution(export, tmp_path):
    write(tmp_path / 'modnet.onnx', export[1:])
    with pytest.raises(MattingError, match=r'expected \d+ convolutions with folded BatchNorm'):
        import_weights(tmp_path / 'modnet.onnx')


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (('Conv', {'9999': np.zeros((2, 2, 1, 1), np.float32)}), '9999: a weight that no layer'),
        (('Conv', {'1000': np.zeros(3, np.float32)}), '1000: stands twice'),
        (
            ('Conv', {'module.f_branch.conv_f.1.layers.0.bias': np.zeros(1, np.float32)}),
            'f_branch.conv_f.1.layers.0.bias: stands twice under two spellings',
        ),
        (('Conv', {'a.' * 10_000: np.zeros(1, np.float32)}), r'a\.: a name of 20000 characters'),
        (('Conv', {'f_branch.more.weight': np.zeros(1, np.float32)}), 'unknown variable'),
    ],
)
def test_weights_too_many(export, tmp_path, more, message):
    write(tmp_path / 'modnet.onnx', export, [more])
    with pytest.raises(MattingError, match=message):
        import_weights(tmp_path / 'modnet.onnx')


def test_a_damaged_tensor_is_named(export, tmp_path):
    write(tmp_path / 'modnet.onnx', export)
    model = onnx.load(tmp_path / 'modnet.onnx')
    model.graph.initializer[0].raw_data = b'123'
    onnx.save(model, tmp_path / 'modnet.onnx')
    with pytest.raises(MattingError, match='1000: damaged tensor'):
        import_weights(tmp_path / 'modnet.onnx')


def test_another_network_is_an_error(tmp_path):
    write(tmp_path / 'other.onnx', [('Relu', {})])
    with pytest.raises(MattingError, match='missing'):
        import_weights(tmp_path / 'other.onnx')


@pytest.mark.parametrize(
    'content',
    [
        b'\x0a\x00' * 2_200_000,
        b'\x2a\x00' * 2_200_000,
        b'\x2a\x02\x6a\x00' * 1_100_000,
        b'\x0a\x80\x80\x80\x04' + bytes(2**23),
    ],
)
def test_a_small_file_does_not_unfold_into_a_large_memory(tmp_path, content):
    """Empty nodes, tensors and parts of those: two bytes each, and a hundred in memory."""
    size = len(content)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    (tmp_path / 'many.onnx').write_bytes(b'\x08\x08\x3a' + length + content)
    with pytest.raises(MattingError, match='at most 4194304 bytes beside its weights'):
        import_weights(tmp_path / 'many.onnx')
