import cv2
import numpy as np
import pytest

from mattingjax.data.trimaps import make_trimap, random_trimap
from mattingjax.errors import MattingError

ELLIPSES = {
    2: ['.#', '##'],
    3: ['.#.', '###', '.#.'],
    4: ['..#.', '####', '####', '####'],
}


@pytest.fixture(scope='module')
def alpha():
    """A soft disc that touches the border, and one nearly opaque hole."""
    y, x = np.mgrid[:60, :70]
    alpha = np.clip((24 - np.hypot(y - 20, x - 30)) / 4, 0, 1)
    alpha[18:20, 30:32] = 250 / 255
    return alpha.astype(np.float32)


def slow_morphology(values, kernel_size, iterations, choose, outside):
    """Minimum or maximum over the ellipse, straight from the definition."""
    middle = kernel_size // 2
    for _ in range(iterations):
        padded = np.pad(values, kernel_size, constant_values=outside)
        shifted = [
            padded[kernel_size + i - middle :, kernel_size + j - middle :][
                : values.shape[0], : values.shape[1]
            ]
            for i, row in enumerate(ELLIPSES[kernel_size])
            for j, cell in enumerate(row)
            if cell == '#'
        ]
        values = choose(shifted, axis=0)
    return values


@pytest.mark.parametrize('kernel_size', [2, 3, 4])
@pytest.mark.parametrize('iterations', [1, 5])
def test_is_its_definition(alpha, kernel_size, iterations):
    eroded = slow_morphology(255 * alpha, kernel_size, iterations, np.min, 255)
    dilated = slow_morphology(255 * alpha, kernel_size, iterations, np.max, 0)
    expected = np.full(alpha.shape, 0.5, np.float32)
    expected[eroded > 254.5] = 1
    expected[dilated < 0.5] = 0
    trimap = make_trimap(alpha, kernel_size, iterations)
    assert trimap.dtype == np.float32
    assert set(np.unique(trimap)) == {0, 0.5, 1}
    np.testing.assert_array_equal(trimap, expected)


def test_is_that_of_an_eight_bit_alpha(alpha):
    levels = np.round(255 * alpha).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    expected = np.full(alpha.shape, 0.5, np.float32)
    expected[cv2.erode(levels, kernel, iterations=4) > 254.5] = 1
    expected[cv2.dilate(levels, kernel, iterations=4) < 0.5] = 0
    np.testing.assert_array_equal(make_trimap((levels / 255).astype(np.float32), 3, 4), expected)


@pytest.mark.parametrize('value', [0, 1])
def test_without_a_border_nothing_is_unknown(value):
    alpha = np.full((20, 30), value, np.float32)
    np.testing.assert_array_equal(make_trimap(alpha, 4, 14), alpha)


def test_soft_parts_are_unknown_and_a_larger_kernel_leaves_more_so(alpha):
    unknown = [make_trimap(alpha, size, 3) == 0.5 for size in (1, 2, 3, 5)]
    assert ((alpha > 1 / 255) & (alpha < 254 / 255) <= unknown[0]).all()
    assert (unknown[0] <= unknown[1]).all()
    assert sorted(part.sum() for part in unknown) == [part.sum() for part in unknown]


def test_random_trimaps_use_the_whole_range_and_only_that(alpha):
    allowed = {
        make_trimap(alpha, size, iterations).tobytes()
        for size in (2, 3, 4)
        for iterations in range(5, 15)
    }
    rng = np.random.default_rng(0)
    drawn = {random_trimap(alpha, rng).tobytes() for _ in range(300)}
    assert drawn == allowed


def test_random_trimap_follows_its_generator(alpha):
    before = alpha.copy()
    first, second = (random_trimap(alpha, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(alpha, before)


ALPHA = np.full((4, 5), 0.5, np.float32)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((ALPHA[None], 3, 5), 'alpha: expected shape [H, W], got [1, 4, 5]'),
        ((ALPHA[:0], 3, 5), 'alpha: expected shape [H, W], got [0, 5]'),
        ((ALPHA.astype(np.uint8), 3, 5), 'alpha: expected a float32 array, got uint8'),
        (([[0.5]], 3, 5), 'alpha: expected a float32 array, got list'),
        ((2 * ALPHA + 0.5, 3, 5), 'alpha: expected values in [0, 1], got values from 1.5 to 1.5'),
        ((ALPHA * np.float32('nan'), 3, 5), 'expected values in [0, 1], got values from nan'),
        ((ALPHA, 0, 5), 'kernel_size: expected a whole number, at least 1, got 0'),
        ((ALPHA, 3.5, 5), 'kernel_size: expected a whole number, at least 1, got 3.5'),
        ((ALPHA, 3, -1), 'iterations: expected a whole number, at least 1, got -1'),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(MattingError) as caught:
        make_trimap(*arguments)
    assert message in str(caught.value)
