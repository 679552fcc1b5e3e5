"""What the device shows of a photo, against OpenCV's warp and the host's transforms."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from mattingjax.data.close_ups import CloseUp
from mattingjax.data.geometry import (
    Flip,
    RandomAffine,
    RandomCrop,
    RandomResize,
    RandomRotation,
)
from mattingjax.data.on_device.augmentation import make_example
from mattingjax.data.on_device.pictures import gather_levels, make_levels, mean, sample
from mattingjax.data.on_device.store import create_store
from mattingjax.data.on_device.views import View
from mattingjax.data.recomposition import Recompose
from mattingjax.data.transforms import Chain, ToExample
from mattingjax.images import resize
from tests.data.on_device.pinned import PinnedDraws, PinnedGenerator, blobs

pytestmark = pytest.mark.usefixtures('quickly_compiled')

SIZE = 48
CHAINS = {
    'affine': (RandomAffine(SIZE),),
    'affine, aspect kept': (RandomAffine(SIZE, keep_aspect=True), Flip()),
    'close-up': (CloseUp((0.4, 0.7)), RandomAffine(SIZE, keep_aspect=True)),
    'mmnet': (RandomResize(SIZE, (1.0, 1.15), step=0.01), RandomCrop(SIZE), RandomRotation(15)),
    'modnet': (RandomResize(SIZE, (1.0, 1.25), keep_aspect=True), RandomCrop(SIZE), Flip()),
    'evaluation': (RandomResize(SIZE),),
}


@pytest.mark.parametrize('share', [0.1, 0.45, 0.9])
@pytest.mark.parametrize('name', CHAINS)
def test_photos_are_shown_as_on_the_host(name, share):
    """The host resamples up to three times, which blurs a little more."""
    chain = Chain((*CHAINS[name], ToExample(SIZE)))
    record = blobs(120, 90)
    expected = chain(record, PinnedGenerator(share))
    store = create_store([record], None, side=400, size=SIZE, limit=1e9).store
    found = make_example(chain, store, jnp.int32(0), PinnedDraws(share))
    assert found.keys() == expected.keys() - {'name'}
    assert_alike(found, expected)


@pytest.mark.parametrize('share', [0.1, 0.45, 0.9])
@pytest.mark.parametrize('shift', [0, 30])
def test_cutouts_are_shown_as_on_the_host(share, shift):
    """Free ones with nothing around them; where a side cuts the person off, only up to there."""
    record = blobs(120, 90)
    record['alpha'] = np.roll(record['alpha'], shift, 0)
    record['foreground'] = np.where(record['alpha'][..., None] > 0, record.pop('image'), 255)
    black = Recompose([{'image': np.zeros((9, 9, 3), np.uint8)}], relight=False)
    chain = Chain((RandomAffine(SIZE, scale=(0.6, 0.8)), black, ToExample(SIZE)))
    expected = chain(record, PinnedGenerator(share))
    store = create_store([record], black.backgrounds, side=400, size=SIZE, limit=1e9).store
    found = make_example(chain, store, jnp.int32(0), PinnedDraws(share))
    assert_alike(found, expected)


def assert_alike(found, expected):
    """But for how they are interpolated, which shows at hard edges."""
    for key, scale in (('image', 1), ('alpha', 255)):
        difference = np.abs(np.float32(found[key]) - expected[key]) * scale
        assert difference.mean() < 1.2
        assert np.percentile(difference, 97) < 6


def show(image, matrix, offset, size):
    """What a view shows of an image, in floating-point numbers."""
    height, width = image.shape[:2]
    levels = make_levels(lambda *sides: resize(image, *sides), (width, height), size / 2)
    low, high = jnp.zeros(2), jnp.array([width, height], jnp.float32)
    view = View(jnp.float32(matrix), jnp.float32(offset), jnp.full(2, size), low, high)
    return np.asarray(mean(sample(gather_levels([levels]), jnp.int32(0), view, size), slice(3)))


@pytest.mark.parametrize('scale', [0.5, 1.0, 1.15])
def test_equals_the_warp_of_opencv(scale):
    """Where no pixel is left out, the whole picture is warped: OpenCV to a 32nd of a pixel."""
    image = blobs(80, 100)['image']
    cosine, sine = scale * np.cos(0.3), scale * np.sin(0.3)
    matrix, offset = np.array([[cosine, sine], [-sine, cosine]]), np.array([14.3, 25.6])
    found = show(image, matrix, offset, SIZE)
    coefficients = np.column_stack([matrix, offset + matrix.sum(1) / 2 - 0.5])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(
        image.astype(np.float32), coefficients, (SIZE, SIZE), flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    steepest = max(np.abs(np.diff(np.float32(image), axis=axis)).max() for axis in (0, 1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2 * steepest / 32)


@pytest.mark.parametrize('factor', [2, 3, 5.3])
def test_shrinking_averages_instead_of_leaving_out(factor):
    side = round(factor * SIZE)
    checks = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)
    shown = show(np.repeat(checks[..., None], 3, -1), np.eye(2) * factor, np.zeros(2), SIZE)
    assert np.abs(shown - 127.5).max() < 30
    assert np.abs(shown - 127.5).mean() < 8


def test_each_picture_is_sampled_from_its_own_pixels():
    colours = (10, 200, 90)
    sides = ((40, 60), (150, 100), (30, 30))
    pictures = gather_levels(
        [
            make_levels(
                lambda height, width, colour=colour: np.full((height, width, 3), colour, np.uint8),
                both, 20,
            )
            for colour, both in zip(colours, sides, strict=True)
        ]
    )  # fmt: skip
    assert len(pictures.starts) == 3
    for i, (colour, (width, height)) in enumerate(zip(colours, sides, strict=True)):
        for step in (0.5, 1, 2, 4, 16):
            matrix, high = step * jnp.eye(2), jnp.array([width, height], jnp.float32)
            view = View(matrix, jnp.zeros(2), jnp.full(2, 16), jnp.zeros(2), high)
            shown = mean(sample(pictures, jnp.int32(i), view, 16), slice(3))
            np.testing.assert_allclose(shown, colour, atol=1e-3)
