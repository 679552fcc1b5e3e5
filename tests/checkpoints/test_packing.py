import dataclasses
import re

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

from mattingjax import Checkpoint, MattingError, load_checkpoint, save_checkpoint
from mattingjax.checkpoints.packing import drop_folders, pack_checkpoint
from mattingjax.networks import create_model_config
from tests.conftest import assert_one_line_error, random_checkpoint


def test_a_packed_checkpoint_ships(tmp_path, run_script):
    # The published widths: of a narrow network, Orbax's own bookkeeping outweighs the kernels.
    mmnet = random_checkpoint(create_model_config('mmnet'))
    provenance = {'trained': {'settings': {'root': '/home/me/labels/labels.csv', 'steps': 3}}}
    config = dataclasses.replace(mmnet.config, provenance=provenance)
    save_checkpoint(tmp_path / 'trained', Checkpoint(config, mmnet.variables))
    (tmp_path / 'card.md').write_text('# A card\n')
    (tmp_path / 'photos').mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'photos' / 'a.png')
    process = run_script(
        'pack_weights', '--checkpoint', tmp_path / 'trained', '--card', tmp_path / 'card.md',
        '--noartefact', '--output', tmp_path / 'shipped', '--input_size=96',
        '--images', tmp_path / 'photos',
    )  # fmt: skip
    assert process.returncode == 0, process.stderr.decode()

    found = re.search(
        r'1 alphas differ by (\S+) in the mean, (\S+) at most', process.stdout.decode()
    )
    assert 0 < float(found[1]) < float(found[2]) < 0.02
    shipped = load_checkpoint(tmp_path / 'shipped')
    assert shipped.config.input_size == 96
    assert (tmp_path / 'shipped' / 'README.md').read_text() == '# A card\n'
    settings = shipped.config.provenance['trained']['settings']
    assert settings == {'root': 'labels/labels.csv', 'steps': 3}
    # float32 again; kernels rounded to 11 bits, all else as it was.
    before, after = (flatten_dict(c.variables, sep='/') for c in (mmnet, shipped))
    assert before.keys() == after.keys()
    for path, value in after.items():
        assert value.dtype == np.float32
        if value.ndim > 1:
            np.testing.assert_allclose(value, before[path], rtol=2**-11, atol=2**-25)
        else:
            np.testing.assert_array_equal(value, before[path])
    assert any((after[path] != before[path]).any() for path in after)
    # Nor does any file say where on this machine it was made.
    files = [file for file in (tmp_path / 'shipped').rglob('*') if file.is_file()]
    assert not any(str(tmp_path).encode() in file.read_bytes() for file in files)
    size, whole = (
        sum(file.stat().st_size for file in (tmp_path / name / 'variables').rglob('*'))
        for name in ('shipped', 'trained')
    )
    assert size < whole
    packed = pack_checkpoint(mmnet).variables
    size, whole = (
        sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) for tree in (packed, mmnet.variables)
    )
    assert size < 0.55 * whole


def test_nothing_is_written_where_a_photo_is_damaged(tmp_path, mmnet_path, run_script):
    (tmp_path / 'card.md').write_text('# A card\n')
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'a.png').write_bytes(b'no picture')
    process = run_script(
        'pack_weights', '--checkpoint', mmnet_path, '--card', tmp_path / 'card.md',
        '--noartefact', '--output', tmp_path / 'shipped', '--images', tmp_path / 'photos',
    )  # fmt: skip
    assert_one_line_error(process, 'a.png')
    assert not (tmp_path / 'shipped').exists()


def test_a_kernel_beyond_float16_is_named(mmnet):
    variables = dict(mmnet.variables)
    kernel = variables['params']['init_block']['conv']['kernel']
    params = {**variables['params'], 'init_block': {'conv': {'kernel': kernel * 1e8}}}
    with pytest.raises(MattingError, match=r'params/init_block/conv/kernel: .* too large'):
        pack_checkpoint(Checkpoint(mmnet.config, {**variables, 'params': params}))


@pytest.mark.parametrize(
    ('path', 'expected'),
    [
        ('/x/y/z.csv', 'y/z.csv'),
        ('/x/a folder/z.csv', 'a folder/z.csv'),
        ('../../home/me/z.csv', 'me/z.csv'),
        ('~/x/y/z', 'y/z'),
        ('~me/x/y/z', 'y/z'),
        ('made of /home/me/a.onnx (whole)', 'made of me/a.onnx (whole)'),
        ("--images='/home/me/a'", "--images='me/a'"),
        # Not paths out of here.
        ('x/y/z.csv', 'x/y/z.csv'),
        ('/', '/'),
        ('mean/max', 'mean/max'),
        ('hf://owner/repository/file', 'hf://owner/repository/file'),
        ('https://arxiv.org/abs/1904.03816', 'https://arxiv.org/abs/1904.03816'),
        ('conv_lr*/x and 1/2', 'conv_lr*/x and 1/2'),
        (3, 3),
        (None, None),
    ],
)
def test_paths_lose_the_folders_of_the_machine(path, expected):
    assert drop_folders({'a': [path, {'b': path}]}) == {'a': [expected, {'b': expected}]}
    assert drop_folders({path: 1}) == {expected: 1}
