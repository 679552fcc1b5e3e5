import numpy as np
import pytest

from mattingjax import MattingError, create_predictor
from mattingjax.inference import network_size
from mattingjax.models import create_model_config

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


def test_steps_make_few_sizes_and_little_distortion():
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(500):
        height = int(rng.integers(600, 3000))
        width = int(height * rng.uniform(0.5, 2))
        rows, columns = network_size(height, width, 512, MODNET, step=64)
        assert rows % 64 == columns % 64 == 0
        distortion = abs(np.log((rows / columns) / (height / width)))
        assert distortion <= np.log(512 / (512 - 32)) + 1e-6  # that of rounding 511 down to 480
        sizes.add((rows, columns))
    assert len(sizes) <= 40


@pytest.mark.parametrize('photo', [(1, 1), (3, 5000), (5000, 3), (15, 15), (100, 1601)])
def test_photos_without_a_matte(photo):
    for size, preprocessing in ((512, MODNET), (256, MMNET)):
        with pytest.raises(MattingError, match=f'expected a photo .* got {photo[1]}x{photo[0]}'):
            network_size(*photo, size, preprocessing)


def test_a_thin_small_photo_is_enlarged():
    assert network_size(20, 310, 512, MODNET) == (512, 7936)


@pytest.mark.parametrize('step', [0, -64, 10, 33, 1024])
def test_steps_without_sense(step):
    with pytest.raises(MattingError, match=f'step: expected a multiple of 32 .* got {step}'):
        network_size(512, 512, 512, MODNET, step)


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
        ([[0]], 'expected a uint8 array, got list'),
        (np.zeros((64, 64), np.uint8), r'expected shape \[H, W, 3\], got \[64, 64\]'),
        (np.zeros((64, 64, 4), np.uint8), r'expected shape \[H, W, 3\], got \[64, 64, 4\]'),
        (np.zeros((1, 1, 3), np.uint8), 'expected a photo of at least 16 pixels a side'),
    ],
)
def test_wrong_images_are_named(mmnet_path, image, message):
    with pytest.raises(MattingError, match=message):
        create_predictor(mmnet_path)(image)


def test_an_unknown_runtime_lists_the_known(mmnet_path):
    with pytest.raises(MattingError, match=r"expected one of jax, openvino, .*, got 'abacus'"):
        create_predictor(mmnet_path, runtime='abacus')
