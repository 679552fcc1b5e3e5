"""Foreign weights are imported whole or not at all."""

import json
import re

import flax.traverse_util
import numpy as np
import pytest

from mattingjax import MattingError, import_weights
from mattingjax.errors import one_line
from mattingjax.importers import mmnet_tf, modnet_names
from mattingjax.importers.matching import Candidate, assemble
from mattingjax.networks import create_model_config
from tests.conftest import assert_one_line_error
from tests.torch_files import as_state_dict, torch_call, write_state_dict, write_torch_file


def assert_same_variables(first, second):
    first, second = (
        flax.traverse_util.flatten_dict(checkpoint.variables, sep='/')
        for checkpoint in (first, second)
    )
    assert first.keys() == second.keys()
    for path in first:
        np.testing.assert_array_equal(first[path], second[path], err_msg=path)


@pytest.mark.parametrize(
    ('prefix', 'pruner'),
    [
        ('module.', False),
        ('', True),
        ('module.', True),
        ('module.module.', False),
        ('_orig_mod.', False),
        ('model.', False),
        ('net.', True),
        ('state.model._orig_mod.module.', False),
    ],
)
def test_torch_names_in_every_spelling(modnet, tmp_path, prefix, pruner):
    tensors = as_state_dict(modnet, prefix)
    backbone = {name: tensor for name, tensor in tensors.items() if 'backbone' in name}
    for name, tensor in backbone.items():
        tensors[name.replace('backbone', 'lr_branch.backbone', 1)] = tensor
    tensors[f'{prefix}backbone.model.features.0.1.num_batches_tracked'] = np.zeros((), np.float32)
    if pruner:
        tensors = {
            name.replace('.features.0.', '.features.0.cbr.').replace(
                '.features.18.', '.features.18.cbr.'
            ): tensor
            for name, tensor in tensors.items()
        }
    write_state_dict(tmp_path / 'weights.ckpt', tensors)
    imported = import_weights(tmp_path / 'weights.ckpt')
    assert_same_variables(imported, modnet)
    assert imported.config.architecture == modnet.config.architecture
    (ignored,) = imported.config.provenance['ignored']
    assert ignored.endswith('num_batches_tracked')


def test_a_prefix_that_some_names_have_stays():
    names = ['net.backbone.a', 'net.f_branch.b', 'criterion.c']
    assert list(modnet_names.canonical_names(names).values()) == names
    # One that has more of our names without it is still one, whatever else is there.
    names = ['net.backbone.a', 'net.f_branch.b', 'net.criterion.c']
    published = ['backbone.a', 'f_branch.b', 'criterion.c']
    assert list(modnet_names.canonical_names(names).values()) == published
    assert modnet_names.canonical_names([]) == {}
    # No file has so many wrappers.
    deep = f'{"a." * 9}backbone.b'
    assert modnet_names.canonical_names([deep]) == {deep: deep}
    assert modnet_names.canonical_names([deep[2:]]) == {deep[2:]: 'backbone.b'}


def test_names_that_do_not_fit_are_shown_beside_ours(modnet, tmp_path):
    tensors = {
        name.replace('f_branch', 'fusion'): tensor
        for name, tensor in as_state_dict(modnet, '').items()
    }
    write_state_dict(tmp_path / 'weights.ckpt', tensors)
    message = r'; f_branch\.(\S+) is expected, the file has fusion\.\1\)'
    with pytest.raises(MattingError, match=message):
        import_weights(tmp_path / 'weights.ckpt')


@pytest.mark.parametrize('prefix', ['Other', 'Other/' + 'x' * 100])
def test_names_of_tensorflow_are_shown_as_they_are(mmnet, prefix):
    candidate = Candidate(mmnet.config, mmnet_tf.find_tensorflow_source)
    sources = [source for source, _ in candidate.sources().values()]
    tensors = {
        f'{prefix}/{source.name.partition("/")[2]}': np.zeros(1, np.float32) for source in sources
    }
    with pytest.raises(MattingError) as caught:
        assemble([candidate], tensors, where='model')
    ours, theirs = re.findall(r'; (\S+) is expected, the file has (\S+)\)', str(caught.value))[0]
    assert ours in {one_line(source.name, 60) for source in sources}
    assert theirs in {one_line(name, 60) for name in tensors}
    assert theirs.endswith(ours[-25:])


@pytest.mark.parametrize(
    'name', ['w[1].ckpt', 'w*?.ckpt', '%41 #~{}.ckpt', '-x', 'ü\n', '\udcff.x']
)
def test_every_name_that_the_file_system_takes(modnet, tmp_path, name):
    folder = tmp_path / '[a] *'
    folder.mkdir()
    write_state_dict(folder / name, as_state_dict(modnet))
    imported = import_weights(folder / name)
    assert imported.config.provenance['sha256'].keys() == {name}
    assert repr(imported).endswith(f'from {folder / name})')


def test_a_name_that_no_file_system_takes():
    for name in ('x' * 300, f'{"x" * 300}/a.ckpt', 'a\0b'):
        with pytest.raises(MattingError, match='no such file'):
            import_weights(name)


def change(tensors, name, tensor):
    return {**tensors, name: tensor}


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (
            lambda t: {k: v for k, v in t.items() if k != 'f_branch.conv_f.1.layers.0.bias'},
            r'f_branch.conv_f.1.layers.0.bias: missing \(expected shape \(1,\)\)',
        ),
        (
            lambda t: change(t, 'lr_branch.se_block.fc.2.weight', np.zeros((3, 3), np.float32)),
            r'lr_branch.se_block.fc.2.weight: expected shape \(10, 3\), found \(3, 3\)',
        ),
        (
            lambda t: change(t, 'backbone.classifier.weight', np.zeros((2, 2), np.float32)),
            r'backbone.classifier.weight: unknown variable of shape \(2, 2\)',
        ),
        (
            lambda t: change(
                t, 'lr_branch.backbone.model.features.0.1.bias', np.zeros(4, np.float32)
            ),
            r'lr_branch.backbone.model.features.0.1.bias: differs from',
        ),
        (
            lambda t: change(t, 'f_branch.conv_f.1.layers.0.bias', np.full(1, np.nan, np.float32)),
            r'f_branch.conv_f.1.layers.0.bias: has values that are not finite',
        ),
        (lambda t: {'a': np.zeros(2, np.float32)}, r'missing .*\(and \d+ more variables'),
    ],
)
def test_every_variable_is_accounted_for(modnet, tmp_path, edit, message):
    write_state_dict(tmp_path / 'weights.ckpt', edit(as_state_dict(modnet, '')))
    with pytest.raises(MattingError, match=message):
        import_weights(tmp_path / 'weights.ckpt')


def prune_info(**changes) -> dict:
    widths = [32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320, 1280]
    return {
        'ratio': 0.5,
        'threshold': 0.5,
        'new_cfg': widths,
        'new_expansion_cfg': [1, 6] + [6] * 15,
        'new_lr_channels': [32, 96],
        'new_hr_channels': [16, 24],
        'new_f_channels': [32],
    } | changes


def test_prune_info_gives_the_widths(tmp_path):
    path = tmp_path / 'info.json'
    path.write_text(json.dumps(prune_info()))
    architecture = modnet_names.read_prune_info(path)
    dense = create_model_config('modnet').architecture
    assert architecture.backbone == dense.backbone
    assert architecture.se_hidden == dense.se_hidden
    assert (architecture.conv_f, architecture.conv_hr4x) == (8, (32, 32, 16))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'ratio': 1.0}, r'ratio: expected a number in \[0, 1\), got 1.0'),
        ({'new_cfg': [8] * 18}, r'new_cfg: expected 19 positive integers'),
        ({'new_expansion_cfg': [1] + [0] * 16}, r'new_expansion_cfg: expected 17 positive'),
        ({'new_hr_channels': [8, 24]}, r'new_hr_channels: expected \[16, 24\].* got \[8, 24\]'),
        ({'ratio': 0.97}, r'MODNetConfig.tohr_enc2x: expected a width of 2 to 65536, got 0'),
    ],
)
def test_prune_info_errors_name_the_field(tmp_path, changes, message):
    path = tmp_path / 'info.json'
    path.write_text(json.dumps(prune_info(**changes)))
    with pytest.raises(MattingError, match=message):
        modnet_names.read_prune_info(path)


def test_prune_info_of_another_network_is_an_error(modnet, tmp_path):
    write_state_dict(tmp_path / 'weights.ckpt', as_state_dict(modnet))
    (tmp_path / 'info.json').write_text(json.dumps(prune_info()))
    with pytest.raises(MattingError, match=r'expected shape .* found'):
        import_weights(tmp_path / 'weights.ckpt', prune_info=tmp_path / 'info.json')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('none.ckpt', None, 'no such file'),
        ('empty.ckpt', b'', 'not a PyTorch checkpoint'),
        ('letter.ckpt', b'Dear all,', 'not a PyTorch checkpoint'),
        ('cut.onnx', b'\x08\x07\x12', 'damaged ONNX file'),
        ('zeros.bin', b'\0' * 100, 'not a PyTorch checkpoint'),
        ('half.ckpt', b'PK\x03\x04 and no more', 'damaged'),
    ],
)
def test_a_file_of_another_kind_is_an_error(tmp_path, name, content, message):
    pytest.importorskip('onnx')
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MattingError, match=message):
        import_weights(path)


def test_script_refuses_a_pickle_that_calls(tmp_path, run_script):
    witness = tmp_path / 'witness'
    write_torch_file(tmp_path / 'evil.ckpt', torch_call('os', 'system', f'touch {witness}'), {})
    process = run_script(
        'import_weights', '--source', tmp_path / 'evil.ckpt', '--output', tmp_path / 'out'
    )
    assert_one_line_error(process, 'evil.ckpt', 'os.system')
    assert not witness.exists()
    assert not (tmp_path / 'out').exists()


def test_tensorflow_checkpoint_takes_no_prune_info(tmp_path):
    (tmp_path / 'model.index').write_bytes(b'')
    with pytest.raises(MattingError, match='belongs to MODNet'):
        import_weights(tmp_path / 'model', prune_info=tmp_path / 'info.json')
