import gc
import json
import shutil
import warnings

import flax.traverse_util
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from mattingjax import MattingError, list_weights, load_checkpoint, save_checkpoint
from mattingjax.checkpoints import Checkpoint, checkpoint, directory, variables
from tests.conftest import assert_one_line_error


def test_loads_what_was_saved(mmnet, mmnet_path):
    loaded = load_checkpoint(mmnet_path)
    assert loaded.config == mmnet.config
    saved = flax.traverse_util.flatten_dict(mmnet.variables, sep='/')
    for path, value in flax.traverse_util.flatten_dict(loaded.variables, sep='/').items():
        np.testing.assert_array_equal(value, saved[path], err_msg=path)
    assert sorted(child.name for child in mmnet_path.iterdir()) == ['config.json', 'variables']


def test_a_jax_array_can_be_saved(mmnet, tmp_path):
    on_device = Checkpoint(mmnet.config, jax.device_put(mmnet.variables))
    save_checkpoint(tmp_path / 'here', on_device)
    assert load_checkpoint(tmp_path / 'here').config == mmnet.config


def test_never_overwrites_unasked(mmnet, tmp_path):
    path = tmp_path / 'here'
    save_checkpoint(path, mmnet)
    with pytest.raises(MattingError, match='here: a checkpoint lies there already'):
        save_checkpoint(path, mmnet)
    save_checkpoint(path, mmnet, overwrite=True)
    assert load_checkpoint(path).config == mmnet.config
    # Asked to or not, a folder with anything else in it is left alone.
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'me.jpg').write_bytes(b'')
    with pytest.raises(MattingError, match='photos: the folder is not empty'):
        save_checkpoint(tmp_path / 'photos', mmnet, overwrite=True)
    assert sorted(child.name for child in tmp_path.iterdir()) == ['here', 'photos']


def test_a_failed_save_leaves_the_old_one_and_no_scraps(mmnet, tmp_path, monkeypatch):
    path = tmp_path / 'here'
    save_checkpoint(path, mmnet)

    def fail(*_, **__):
        raise RuntimeError('disk full')

    monkeypatch.setattr(ocp.PyTreeCheckpointer, 'save', fail)
    with pytest.raises(MattingError, match=r'here: cannot be written \(RuntimeError: disk full'):
        save_checkpoint(path, mmnet, overwrite=True)
    monkeypatch.undo()
    assert load_checkpoint(path).config == mmnet.config
    assert [child.name for child in tmp_path.iterdir()] == ['here']


# Folders in one another, so that there are few files to write.
NASTY_PATHS = (
    ('r[0.3]', '[]', 'a*b', 'a?b', '[a-z]'),
    ('%41%', 'a#b', '~', '~root', '$HOME', 'a{b,c}'),
    ('two words ', '-dash', '--output=x', "it's", 'say "a"', 'a;b|c&d'),
    ('file:', 'a:b', 'back\\slash', 'line\nbreak'),
    ('gs:', 'run[1]'),
    ('é', 'e\u0301', '猫', '\udcff', '.hidden', 'x' * 250),
)


@pytest.mark.parametrize('names', NASTY_PATHS)
def test_every_name_that_the_file_system_takes(mmnet, tmp_path, names):
    path = tmp_path.joinpath(*names)
    save_checkpoint(path, mmnet)
    save_checkpoint(path, mmnet, overwrite=True)
    loaded = load_checkpoint(path)
    flat = flax.traverse_util.flatten_dict(loaded.variables, sep='/')
    for variable, value in flax.traverse_util.flatten_dict(mmnet.variables, sep='/').items():
        np.testing.assert_array_equal(flat[variable], value)
    assert [child.name for child in path.parent.iterdir()] == [names[-1]]


def test_what_was_written_is_read_back(mmnet, tmp_path, monkeypatch):
    save = ocp.PyTreeCheckpointer.save

    def save_something_else(self, folder, variables):
        save(self, folder, jax.tree.map(np.ones_like, variables))

    monkeypatch.setattr(ocp.PyTreeCheckpointer, 'save', save_something_else)
    with pytest.raises(MattingError, match='here: what was written is read back with other values'):
        save_checkpoint(tmp_path / 'here', mmnet)
    monkeypatch.setattr(ocp.PyTreeCheckpointer, 'save', lambda self, folder, _: folder.mkdir())
    with pytest.raises(MattingError, match='here/variables: damaged variables'):
        save_checkpoint(tmp_path / 'here', mmnet)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def broken(mmnet_path, tmp_path):
    return shutil.copytree(mmnet_path, tmp_path / 'broken')


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


def test_a_short_description(mmnet, mmnet_path):
    parameters = sum(map(np.size, jax.tree.leaves(mmnet.variables['params'])))
    expected = f'Checkpoint(mmnet, input size 64, {parameters:,} parameters, '
    assert repr(mmnet).startswith(expected)
    assert repr(mmnet).endswith(' MB of variables)')
    assert repr(load_checkpoint(mmnet_path)).endswith(f' MB of variables, from {mmnet_path})')


def test_photos_that_were_scaled_already(mmnet, monkeypatch):
    monkeypatch.setattr(checkpoint, 'apply_compiled', lambda *given, **_: {'alpha': given[2]})
    photos = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for images in (photos, photos.astype(np.uint8), np.zeros_like(photos), photos[:0],
                       jax.numpy.asarray(photos)):  # fmt: skip
            mmnet.apply(images)
        # Nothing is known of values while JAX traces.
        jax.jit(lambda images: mmnet.apply(images)['alpha'])(photos / 255)
    for images in (photos / 255, jax.numpy.asarray(photos / 255), photos / 127.5 - 1):
        with pytest.warns(UserWarning, match=r'images: expected values in \[0, 255\], found'):
            mmnet.apply(images)


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


def test_deep_json_is_an_error(broken):
    (broken / 'config.json').write_text('[' * 100_000)
    with pytest.raises(MattingError, match=r'config.json: expected JSON nested at most 64 deep'):
        load_checkpoint(broken)


def test_a_link_is_followed_not_replaced(mmnet, tmp_path):
    save_checkpoint(tmp_path / 'here', mmnet)
    (tmp_path / 'link').symlink_to(tmp_path / 'here')
    save_checkpoint(tmp_path / 'link', mmnet, overwrite=True)
    assert (tmp_path / 'link').is_symlink()
    assert sorted(child.name for child in tmp_path.iterdir()) == ['here', 'link']


def test_an_unknown_name_lists_the_names(tmp_path, monkeypatch):
    for name in ('small', 'large'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'config.json').touch()
    monkeypatch.setattr(directory, '_SHIPPED', tmp_path)
    with pytest.raises(MattingError, match=r'medium: not a checkpoint .*by name: large, small'):
        load_checkpoint('medium')
    (tmp_path / 'photos').mkdir()
    with pytest.raises(MattingError, match=r'the folder holds no config\.json'):
        load_checkpoint(tmp_path / 'photos')
    (tmp_path / 'weights.ckpt').touch()
    with pytest.raises(MattingError, match=r'become a checkpoint with scripts/import_weights\.py'):
        load_checkpoint(tmp_path / 'weights.ckpt')


def test_a_shipped_name_is_found(mmnet, mmnet_path, monkeypatch):
    monkeypatch.setattr(directory, '_SHIPPED', mmnet_path.parent)
    assert list_weights() == ['mmnet']
    assert load_checkpoint('mmnet').config == mmnet.config
