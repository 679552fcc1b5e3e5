"""Damaged and inconsistent checkpoints."""

import gc
import json
import shutil

import flax.traverse_util
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from mattingjax import MattingError, load_checkpoint
from mattingjax.checkpoints import load_config, variables
from mattingjax.errors import CheckpointError
from mattingjax.process.checksums import SUMS_FILE
from tests.conftest import assert_one_line_error


def edit_config(path, **changes):
    file = path / 'config.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def rewrite_variables(path, variables):
    shutil.rmtree(path / 'variables')
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(path / 'variables', variables)


def test_variables_in_files_of_their_own_are_read(mmnet, broken):
    shutil.rmtree(broken / 'variables')
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False)) as checkpointer:
        checkpointer.save(broken / 'variables', mmnet.variables)
    loaded = load_checkpoint(broken).variables
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded, mmnet.variables))


def test_a_missing_tensor_is_named(mmnet, broken, run_script, tmp_path):
    flat = flax.traverse_util.flatten_dict(mmnet.variables, sep='/')
    del flat['params/enc_block3/merge/conv/kernel']
    rewrite_variables(broken, flax.traverse_util.unflatten_dict(flat, sep='/'))
    expected = r'params/enc_block3/merge/conv/kernel: missing (expected shape (1, 1, 32, 8))'
    with pytest.raises(MattingError) as caught:
        load_checkpoint(broken)
    assert expected in str(caught.value)
    photo = tmp_path / 'photo.png'
    photo.touch()
    arguments = ('--checkpoint', broken, '--input', photo, '--output', tmp_path / 'out')
    assert_one_line_error(run_script('predict', *arguments), expected)


def test_an_unknown_tensor_is_named(mmnet, broken):
    variables = {**mmnet.variables, 'more': {'a': np.zeros(2)}}
    rewrite_variables(broken, variables)
    with pytest.raises(MattingError, match='more/a: unknown variable'):
        load_checkpoint(broken)


def test_a_misshapen_tensor_is_named(broken):
    architecture = json.loads((broken / 'config.json').read_text())['architecture']
    edit_config(broken, architecture=architecture | {'final': 9})
    with pytest.raises(MattingError, match=r'dec_block4/\S+: expected shape .* found'):
        load_checkpoint(broken)


def test_what_does_not_fit_is_not_even_read(mmnet, broken, monkeypatch):
    """Names, shapes, types and sizes are compared with the network before anything is restored."""

    def fail(*_, **__):
        raise AssertionError('restored')

    flat = flax.traverse_util.flatten_dict(mmnet.variables, sep='/')
    name = 'params/final_block/bias'
    for value, message in (
        (np.zeros(3, np.float32), r'bias: expected shape \(2,\), found \(3,\)'),
        (np.zeros((2, 1), np.float32), r'bias: expected shape \(2,\), found \(2, 1\)'),
        (np.zeros(2, np.complex64), 'bias: expected real numbers, found values of type complex64'),
        (3.5, r'bias: expected shape \(2,\), found \(\)'),
        ('text', r'bias: expected shape \(2,\), found'),
    ):
        rewrite_variables(broken, flax.traverse_util.unflatten_dict({**flat, name: value}, sep='/'))
        with monkeypatch.context() as patch:
            patch.setattr(ocp.Checkpointer, 'restore', fail)
            with pytest.raises(MattingError, match=message):
                load_checkpoint(broken)
    with monkeypatch.context() as patch:
        patch.setattr(ocp.Checkpointer, 'restore', fail)
        (broken / 'variables' / '_METADATA').write_bytes(b' ' * 2**25)
        with pytest.raises(MattingError, match='its list of variables has 33554432 bytes'):
            load_checkpoint(broken)


@pytest.mark.parametrize(
    ('file', 'content', 'cause'),
    [
        ('_METADATA', b'{"tree_metadata": {', 'JSONDecodeError: '),
        ('_METADATA', b'[' * 100_000, 'RecursionError: '),
        ('manifest.ocdbt', b'short', 'ValueError: DATA_LOSS: '),
        ('manifest.ocdbt', None, 'FileNotFoundError: no variables'),
    ],
)
def test_damaged_files_are_told_with_the_cause(broken, run_script, tmp_path, file, content, cause):
    damaged = broken / 'variables' / file
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    photo = tmp_path / 'photo.png'
    photo.touch()
    arguments = ('--checkpoint', broken, '--input', photo, '--output', tmp_path / 'out')
    process = run_script('predict', *arguments)
    assert_one_line_error(process, f'broken/variables: damaged variables ({cause}')


def test_variables_larger_than_their_files_are_not_read(mmnet_path, monkeypatch):
    """A compressed part of zeros may have any size."""
    monkeypatch.setattr(variables, '_FREE_BYTES', 0)
    monkeypatch.setattr(variables, '_MAX_UNFOLDING', 0.01)
    with pytest.raises(
        MattingError, match=r'variables take \d+ bytes, but its files have only \d+'
    ):
        load_checkpoint(mmnet_path)


@pytest.mark.parametrize('width', [2**16 + 1, 2**40, 10**400, -1, 0, True, 1.5, '8', None])
def test_impossible_widths_are_refused_at_once(broken, width):
    architecture = json.loads((broken / 'config.json').read_text())['architecture']
    for changes in ({'final': width}, {'compressed': [width, 8]}):
        edit_config(broken, architecture=architecture | changes)
        with pytest.raises(MattingError, match=r'ModelConfig.architecture.\w+(\.0)?: expected'):
            load_checkpoint(broken)


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_damaged_files_are_errors(broken):
    for file in (broken / 'variables').rglob('*'):
        if file.is_file() and file.parent.name == 'd':
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(MattingError, match='variables: damaged variables'):
        load_checkpoint(broken)
    gc.collect()  # Orbax leaves a coroutine behind, which complains when it is collected
    shutil.rmtree(broken / 'variables')
    with pytest.raises(MattingError, match='variables: missing'):
        load_checkpoint(broken)
    (broken / 'config.json').write_text('{"network": ')
    with pytest.raises(MattingError, match=r'config.json: not a JSON file'):
        load_checkpoint(broken)
    (broken / 'config.json').write_text('{"network": "mmnet"}')
    with pytest.raises(MattingError, match=r'config.json: ModelConfig.architecture: missing'):
        load_checkpoint(broken)


@pytest.mark.parametrize(
    ('path', 'value', 'message'),
    [
        ('params/final_block/bias', np.nan, 'has values that are not finite'),
        ('params/final_block/bias', 1e300, 'has values that are not finite in float32'),
        ('batch_stats/init_block/bn/var', -1.0, 'has a negative variance'),
        ('params/final_block/bias', 1j, 'expected real numbers, found values of type complex'),
    ],
)
def test_values_that_no_network_has(mmnet, broken, path, value, message):
    flat = flax.traverse_util.flatten_dict(mmnet.variables, sep='/')
    flat[path] = flat[path] + np.asarray(value, np.complex64 if value == 1j else np.float64)
    rewrite_variables(broken, flax.traverse_util.unflatten_dict(flat, sep='/'))
    with pytest.raises(MattingError, match=f'{path}: {message}'):
        load_checkpoint(broken)


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('mean', [0.0, 0.0, float('nan')], r'mean.2: expected float, got nan'),
        ('std', [1.0, 1.0, 10**400], r'std.2: expected float, got 1000'),
        ('std', [0.0, 1.0, 1.0], r'std: expected 1e-3 to 1e6'),
        ('multiple_of', 8, r'multiple_of: expected a multiple of 16, the stride of mmnet, got 8'),
        ('resize', 'crop', r"resize: expected 'short_side' or 'exact', got 'crop'"),
    ],
)
def test_preprocessing_without_sense(broken, field, value, message):
    content = json.loads((broken / 'config.json').read_text())
    edit_config(broken, preprocessing=content['preprocessing'] | {field: value})
    with pytest.raises(MattingError, match=message):
        load_checkpoint(broken)


def test_each_changed_file_is_named(mmnet_path, tmp_path):
    path = shutil.copytree(mmnet_path, tmp_path / 'changed')
    for name in [line[66:] for line in (path / SUMS_FILE).read_text().splitlines()]:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        message = (
            rf'changed: changed since it was written: {name}: expected SHA-256 \w{{12}}…, found '
            r'\w{12}…; if that is meant, remove its SHA256SUMS'
        )
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(path)
        if name == 'config.json':
            with pytest.raises(CheckpointError, match=message):
                load_config(path)
        else:
            load_config(path)
        (path / name).write_bytes(content)
    (path / 'README.md').write_text('a card')
    assert load_checkpoint(path).config == load_checkpoint(mmnet_path).config


def test_a_configuration_that_is_changed_on_purpose(mmnet_path, tmp_path):
    path = shutil.copytree(mmnet_path, tmp_path / 'changed')
    edit_config(path, input_size=96)
    with pytest.raises(CheckpointError, match=r'config.json: expected SHA-256'):
        load_checkpoint(path)
    (path / SUMS_FILE).unlink()
    assert load_checkpoint(path).config.input_size == 96


def test_deep_json_is_an_error(broken):
    (broken / 'config.json').write_text('[' * 100_000)
    with pytest.raises(MattingError, match=r'config.json: expected JSON nested at most 64 deep'):
        load_checkpoint(broken)
