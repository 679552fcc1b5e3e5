import numpy as np
import pytest

from mattingjax.training.labels.corrections import merge


def square(*, left: int = 40, right: int = 80, height: int = 120) -> np.ndarray:
    alpha = np.zeros((height, 120), np.float32)
    alpha[20:100, left:right] = 1
    return alpha


def test_soft_edges_are_the_mattes():
    mask = square()
    matte = mask.copy()
    matte[20:100, 38:40] = 0.4  # hair beyond the mask's border
    alpha, doubt = merge(matte, mask)
    np.testing.assert_array_equal(alpha, matte)
    assert doubt == 0


def test_the_mask_wins_where_the_matte_is_badly_wrong():
    mask = square()
    matte = mask.copy()
    matte[50:70, 50:70] = 0  # a hole
    matte[40:60, 95:115] = 1  # somebody else's
    alpha, doubt = merge(matte, mask)
    np.testing.assert_allclose(alpha[52:68, 52:68], 1, atol=0.01)
    np.testing.assert_allclose(alpha[42:58, 97:113], 0, atol=0.01)
    assert doubt == pytest.approx(800 / mask.sum())


def test_without_a_mask_grey_is_doubted():
    matte = square()
    assert merge(matte, None).alpha is matte
    assert merge(matte, None).doubt == 0
    assert merge(matte / 2, None).doubt == pytest.approx(2)
    # Nobody seen: perhaps somebody overlooked. A mask would know.
    assert merge(0 * matte, None).doubt == 1
    assert merge(0 * matte, 0 * matte).doubt == 0
