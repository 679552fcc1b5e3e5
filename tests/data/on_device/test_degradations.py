import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax.data.degradations import (
    CameraNoise,
    ColourJitter,
    DefocusBlur,
    JpegCompression,
    LightGradient,
    MotionBlur,
)
from mattingjax.data.on_device.compression import compress
from mattingjax.data.on_device.degradations import DEGRADATIONS, Example
from mattingjax.data.on_device.draws import Draws
from mattingjax.data.on_device.pictures import gather_levels, make_levels
from mattingjax.data.on_device.recomposition import recompose
from mattingjax.data.recomposition import Recompose
from mattingjax.images import resize
from tests.data.on_device.pinned import PinnedDraws, PinnedGenerator, blobs

pytestmark = pytest.mark.usefixtures('quickly_compiled')

SIZE = 40
RECORD = blobs(SIZE, SIZE)


def degrade(transform, draws, record=RECORD):
    example = Example(jnp.float32(record['image']), jnp.asarray(record['alpha']))
    return DEGRADATIONS[type(transform)](transform, example, draws)


@pytest.mark.parametrize('share', [0.05, 0.4, 0.9])
@pytest.mark.parametrize(
    'transform',
    [ColourJitter(), LightGradient(), DefocusBlur(0.05), MotionBlur(0.2), CameraNoise()],
    ids=lambda transform: type(transform).__name__,
)
def test_equals_the_hosts(transform, share):
    """To a level, which either may have rounded otherwise; the curves of colours are steeper."""
    expected = transform(RECORD, PinnedGenerator(share))
    found = degrade(transform, PinnedDraws(share))
    most = 3 if isinstance(transform, ColourJitter) else 1
    np.testing.assert_allclose(found.image, expected['image'], rtol=0, atol=most)
    assert np.abs(found.image - np.float32(expected['image'])).mean() < 0.2
    np.testing.assert_allclose(found.alpha, expected['alpha'], rtol=0, atol=5e-3)


def test_noise_is_as_strong_as_on_the_host():
    transform = CameraNoise(shot=(2e-3, 2e-3))
    levels = np.repeat(np.array([20, 60, 128, 200], np.uint8), SIZE // 4)
    image = np.broadcast_to(levels[:, None, None], (SIZE, SIZE, 3))
    record = RECORD | {'image': np.ascontiguousarray(image)}
    deviations = []
    for seed in range(6):
        host = transform(record, np.random.default_rng(seed))['image']
        device = degrade(transform, Draws(jax.random.key(seed)), record).image
        deviations.append([np.std(made.reshape(4, -1), 1) for made in (host, np.asarray(device))])
    host, device = np.mean(deviations, 0)
    # Of 7200 values each; the read noise, which differs from draw to draw, is the smaller part.
    np.testing.assert_allclose(device, host, rtol=0.1)
    assert np.abs(np.asarray(device) - deviations[0][1]).max() > 0


@pytest.mark.parametrize('quality', [25, 40, 75, 95])
@pytest.mark.parametrize('size', [40, 48])
def test_compression_is_that_of_jpeg(quality, size):
    """The whole loss is computed: what is left is rounding in the coder and the decoder."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 12, (size, size, 3))
    image = np.clip(blobs(size, size)['image'] + noise, 0, 255).astype(np.uint8)
    found = np.asarray(compress(jnp.float32(image), jnp.int32(quality)))
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, content = cv2.imencode('.jpg', image[..., ::-1], options)
    expected = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    loss = np.abs(expected - image).mean()
    assert np.abs(found - expected).mean() < 0.2 * loss
    assert np.abs(found - image).mean() == pytest.approx(loss, rel=0.05)


def test_the_quality_is_drawn_from_its_range():
    transform = JpegCompression((40, 95))
    for share, quality in ((0.0, 40), (0.5, 68), (0.999, 95)):
        found = degrade(transform, PinnedDraws(share)).image
        expected = compress(jnp.float32(RECORD['image']), jnp.int32(quality))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('share', [0.1, 0.4, 0.8])
def test_recomposition_equals_the_hosts(share):
    behind = blobs(91, 73, seed=1)['image']
    transform = Recompose([{'image': behind}], probability=1.0)
    record = RECORD | {'foreground': RECORD['image']}
    expected = transform(record, PinnedGenerator(share))['image']
    pictures = gather_levels([make_levels(lambda *sides: resize(behind, *sides), (73, 91), 20)])
    found = recompose(
        transform, jnp.float32(record['foreground']), jnp.asarray(record['alpha']), pictures,
        PinnedDraws(share),
    )  # fmt: skip
    difference = np.abs(found - np.float32(expected))
    assert difference.mean() < 1.2
    assert np.percentile(difference, 99) < 6
