"""Checkpoints are saved and loaded."""

import subprocess
import sys
import warnings

import flax.traverse_util
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from mattingjax import MattingError, list_weights, load_checkpoint, save_checkpoint, weights
from mattingjax.checkpoints import Checkpoint, checkpoint


def test_loads_what_was_saved(mmnet, mmnet_path):
    loaded = load_checkpoint(mmnet_path)
    assert loaded.config == mmnet.config
    saved = flax.traverse_util.flatten_dict(mmnet.variables, sep='/')
    for path, value in flax.traverse_util.flatten_dict(loaded.variables, sep='/').items():
        np.testing.assert_array_equal(value, saved[path], err_msg=path)
    names = sorted(child.name for child in mmnet_path.iterdir())
    assert names == ['SHA256SUMS', 'config.json', 'variables']


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

    monkeypatch.setattr(ocp.Checkpointer, 'save', fail)
    with pytest.raises(MattingError, match=r'here: cannot be written \(RuntimeError: disk full'):
        save_checkpoint(path, mmnet, overwrite=True)
    monkeypatch.undo()
    assert load_checkpoint(path).config == mmnet.config
    assert [child.name for child in tmp_path.iterdir()] == ['here']


def test_a_full_disk_is_told_in_one_line(tmp_path):
    """Orbax logs a traceback of what it raises too, and TensorStore tells closed event loops."""
    code = (
        'import resource, sys\n'
        'from mattingjax import load_checkpoint, save_checkpoint\n'
        'checkpoint = load_checkpoint("mmnet_0.5")\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n'
        'try:\n    save_checkpoint(sys.argv[1], checkpoint)\n'
        'except ValueError as error:\n    sys.exit(str(error))\n'
    )
    process = subprocess.run([sys.executable, '-c', code, tmp_path / 'here'], capture_output=True)
    assert process.stderr.decode() == f'{tmp_path}/here: cannot be written (File too large)\n'
    assert not list(tmp_path.iterdir())


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


def test_a_path_with_dots(mmnet, tmp_path):
    (tmp_path / 'beside').mkdir()
    path = tmp_path / 'beside' / '..' / 'here'
    save_checkpoint(path, mmnet)
    assert load_checkpoint(path).config == mmnet.config
    assert (tmp_path / 'here').is_dir()


def test_what_was_written_is_read_back(mmnet, tmp_path, monkeypatch):
    save = ocp.Checkpointer.save

    def save_something_else(self, folder, variables):
        save(self, folder, jax.tree.map(np.ones_like, variables))

    monkeypatch.setattr(ocp.Checkpointer, 'save', save_something_else)
    with pytest.raises(MattingError, match='here: what was written is read back with other values'):
        save_checkpoint(tmp_path / 'here', mmnet)
    monkeypatch.setattr(ocp.Checkpointer, 'save', lambda self, folder, _: folder.mkdir())
    with pytest.raises(MattingError, match='here/variables: damaged variables'):
        save_checkpoint(tmp_path / 'here', mmnet)
    assert not list(tmp_path.iterdir())


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
    monkeypatch.setattr(weights, '_SHIPPED', tmp_path)
    with pytest.raises(MattingError, match=r'medium: not a checkpoint .*by name: large, small'):
        load_checkpoint('medium')
    (tmp_path / 'photos').mkdir()
    with pytest.raises(MattingError, match=r'the folder holds no config\.json'):
        load_checkpoint(tmp_path / 'photos')
    (tmp_path / 'weights.ckpt').touch()
    with pytest.raises(MattingError, match=r'become a checkpoint with mattingjax import-weights'):
        load_checkpoint(tmp_path / 'weights.ckpt')


def test_a_shipped_name_is_found(mmnet, mmnet_path, monkeypatch):
    monkeypatch.setattr(weights, '_SHIPPED', mmnet_path.parent)
    assert list_weights() == ['mmnet']
    assert load_checkpoint('mmnet').config == mmnet.config
