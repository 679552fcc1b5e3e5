import dataclasses
import re
import time
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from mattingjax import Checkpoint, MattingError, Predictor, create_predictor, save_checkpoint
from mattingjax.inference import jax_runtime, network_size
from mattingjax.networks import create_model_config
from tests.waiting import wait_until

MODNET = create_model_config('modnet').preprocessing
MMNET = create_model_config('mmnet').preprocessing


@pytest.mark.parametrize(
    ('photo', 'expected'),
    [
        ((512, 512), (512, 512)),
        ((1080, 1920), (512, 896)),  # short side 512; 910 down to a multiple of 32
        ((1920, 1080), (896, 512)),
        ((4000, 3000), (672, 512)),
        ((100, 150), (512, 768)),  # small photos are enlarged
        ((480, 640), (480, 640)),  # 512 lies between the sides: the photo keeps its size
        ((500, 700), (480, 672)),
        ((16, 16), (512, 512)),
    ],
)
def test_modnet_size_is_the_originals(photo, expected):
    assert network_size(*photo, 512, MODNET) == expected


def test_a_photo_about_the_input_size_keeps_its_size():
    for short in range(32, 512, 7):
        for long in range(512, 1000, 11):
            expected = short - short % 32, long - long % 32
            if long <= 16 * short:
                assert network_size(short, long, 512, MODNET) == expected
                assert network_size(long, short, 512, MODNET) == expected[::-1]


@pytest.mark.parametrize('photo', [(512, 512), (1080, 1920), (100, 150)])
def test_mmnet_has_one_size(photo):
    assert network_size(*photo, 256, MMNET) == (256, 256)


@pytest.mark.parametrize('photo', [(1, 1), (3, 5000), (5000, 3), (15, 15), (100, 1601)])
def test_photos_without_a_matte(photo):
    for size, preprocessing in ((512, MODNET), (256, MMNET)):
        with pytest.raises(MattingError, match=f'expected a photo .* got {photo[1]}x{photo[0]}'):
            network_size(*photo, size, preprocessing)


def test_a_thin_small_photo_is_enlarged():
    assert network_size(20, 310, 512, MODNET) == (512, 7936)


def test_a_side_that_would_vanish():
    with pytest.raises(MattingError, match=r'short side is at least 32 pixels .* got 490x31'):
        network_size(31, 490, 480, MODNET)


@pytest.mark.parametrize('name', ['modnet_path', 'mmnet_path'])
def test_alpha_has_the_photos_size(name, request):
    predictor = create_predictor(request.getfixturevalue(name))
    photo = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    alpha = predictor(photo)
    assert alpha.shape == (70, 90)
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert alpha.std() > 0


def test_predictor_equals_apply_at_the_networks_size(mmnet, mmnet_path):
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    alpha = create_predictor(mmnet_path)(photo)
    expected = mmnet.apply(photo[None].astype(np.float32))['alpha'][0, :, :, 0]
    np.testing.assert_allclose(alpha, expected, atol=1e-6)


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (np.zeros((64, 64, 3), np.float32), 'expected a uint8 array, got float32'),
        (
            [[0]],
            'image: expected a path, bytes, .* or a uint8 array .* got list',
        ),
        (np.zeros((64, 64, 5), np.uint8), r'expected shape \[H, W, 3\], got \[64, 64, 5\]'),
        ('none.png', 'none.png: no such file'),
        (np.zeros((1, 1, 3), np.uint8), 'expected a photo of at least 16 pixels a side'),
    ],
)
def test_wrong_images_are_named(mmnet_path, image, message):
    with pytest.raises(MattingError, match=message):
        create_predictor(mmnet_path)(image)


def test_a_photo_is_taken_in_any_form(mmnet_path, tmp_path):
    predictor = create_predictor(mmnet_path)
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    expected = predictor(photo)
    path = tmp_path / 'me.png'
    Image.fromarray(photo).save(path)
    for form in (jnp.asarray(photo), Image.fromarray(photo), path, str(path), path.read_bytes()):
        np.testing.assert_array_equal(predictor(form), expected)


@pytest.mark.parametrize('value', [None, 3, ['modnet_p']])
def test_what_is_no_path_is_named(value):
    message = rf'path_or_name: expected a checkpoint directory, .* got {re.escape(repr(value))}$'
    with pytest.raises(MattingError, match=message):
        create_predictor(value)


def test_one_program_for_all_who_ask_at_once(mmnet_path, monkeypatch):
    compiled = []

    def compile_slowly(config, variables, shape):
        compiled.append(shape)
        time.sleep(0.2)
        return lambda variables, images: {'alpha': np.zeros((*images.shape[:3], 1), np.float32)}

    monkeypatch.setattr(jax_runtime, '_PROGRAMS', jax_runtime._Programs())
    monkeypatch.setattr(jax_runtime, '_compile', compile_slowly)
    predictor = create_predictor(mmnet_path)
    photo = np.zeros((40, 50, 3), np.uint8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(predictor, [photo] * 4))
    assert compiled == [(1, 64, 64, 3)]


def test_what_failed_to_compile_is_tried_again(mmnet_path, monkeypatch):
    failures = [RuntimeError('out of memory')]

    def compile_once_failing(*_):
        if failures:
            raise failures.pop()
        return lambda variables, images: {'alpha': np.zeros((*images.shape[:3], 1), np.float32)}

    monkeypatch.setattr(jax_runtime, '_PROGRAMS', jax_runtime._Programs())
    monkeypatch.setattr(jax_runtime, '_compile', compile_once_failing)
    predictor = create_predictor(mmnet_path)
    photo = np.zeros((40, 50, 3), np.uint8)
    with pytest.raises(RuntimeError, match='out of memory'):
        predictor(photo)
    assert predictor(photo).shape == (40, 50)


def test_photos_are_prepared_in_their_order(tmp_path):
    """Each size once they are asked for; what cannot be read is passed over."""

    class Counting:
        input_size, fixed_size, resizes, compiles, parallel = 64, None, False, True, 1
        preprocessing = MODNET

        def __init__(self):
            self.prepared = []

        def prepare(self, height, width):
            self.prepared.append((height, width))

    paths = []
    for i, size in enumerate([(64, 64), (64, 128), (3, 3), (128, 64)]):
        paths.append(tmp_path / f'{i}.png')
        Image.new('RGB', size[::-1]).save(paths[-1])
    runtime = Counting()
    with Predictor(runtime).preparing([*paths[:2], tmp_path / 'none.png', *paths[2:]]):
        wait_until(lambda: len(runtime.prepared) >= 3)
    assert runtime.prepared == [(64, 64), (64, 128), (128, 64)]


def test_an_unknown_runtime_lists_the_known(mmnet_path):
    with pytest.raises(MattingError, match=r"expected one of jax, openvino, .*, got 'abacus'"):
        create_predictor(mmnet_path, runtime='abacus')


@pytest.mark.parametrize(
    ('network', 'input_size', 'expected'),
    [
        ('modnet', None, (64, 96)),
        ('modnet', 32, (32, 32)),
        ('modnet', 96, (96, 128)),
        ('mmnet', None, (64, 64)),
        ('mmnet', 16, (16, 16)),
        ('mmnet', 80, (80, 80)),
    ],
)
def test_an_input_size_replaces_the_networks(request, network, input_size, expected):
    path = request.getfixturevalue(f'{network}_path')
    predictor = create_predictor(path, input_size=input_size)
    assert predictor.network_size(200, 300) == expected
    assert predictor.describe()['input_size'] == (input_size or 64)


def test_an_input_size_is_the_checkpoints_own_elsewhere(toy, tmp_path):
    """A checkpoint used at another size mattes as one that was made for it."""
    save_checkpoint(tmp_path / 'asked', toy)
    config = dataclasses.replace(toy.config, input_size=48)
    save_checkpoint(tmp_path / 'own', Checkpoint(config, toy.variables))
    photo = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    asked = create_predictor(tmp_path / 'asked', input_size=48)
    own = create_predictor(tmp_path / 'own')
    np.testing.assert_array_equal(asked(photo), own(photo))
    assert np.abs(asked(photo) - create_predictor(tmp_path / 'asked')(photo)).max() > 1e-3


@pytest.mark.parametrize('input_size', [0, -32, 16, 400, 2**14 + 32, 64.0, '64', True])
def test_an_impossible_input_size_is_told(modnet_path, input_size):
    message = rf'^input_size: expected a multiple of 32 pixels, 32 to 16384, got {input_size!r}$'
    with pytest.raises(MattingError, match=message):
        create_predictor(modnet_path, input_size=input_size)


def test_the_network_sees_srgb(mmnet_path):
    """The same colours in another space give the same matte, but for rounding."""
    from mattingjax.images import Photo, to_srgb
    from mattingjax.images.icc import DISPLAY_P3, make_profile

    pixels = np.random.default_rng(0).integers(60, 200, (40, 50, 3), dtype=np.uint8)
    profile = make_profile(DISPLAY_P3)
    predictor = create_predictor(mmnet_path)
    seen = predictor(Photo(pixels, profile))
    assert np.abs(seen - predictor(to_srgb(pixels, profile))).max() < 0.01
    assert np.abs(seen - predictor(pixels)).max() > 0.001


def test_refined_edges(mmnet_path):
    from mattingjax.images import Photo
    from mattingjax.inference.refinement import refine_alpha

    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:, 64:] = (200, 180, 160)
    predictor = create_predictor(mmnet_path)
    alpha = predictor(pixels)
    refined = predictor(pixels, refine=True)
    np.testing.assert_array_equal(refined, refine_alpha(pixels, alpha, (64, 64)))
    np.testing.assert_array_equal(refined, predictor.refine(Photo(pixels), alpha))
