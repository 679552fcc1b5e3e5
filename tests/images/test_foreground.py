import numpy as np

from mattingjax import estimate_foreground
from tests.images.pictures import soft_edge

RED, BLUE = (220, 30, 20), (10, 40, 230)


def disc(height: int, width: int) -> np.ndarray:
    """The alpha of a disc with a soft border, a twentieth of the shorter side wide."""
    y, x = np.mgrid[:height, :width]
    side = min(height, width)
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.clip((0.3 * side - distance) / (0.05 * side), 0, 1).astype(np.float32)


def test_foreground_carries_no_background():
    alpha, photo = soft_edge(RED, BLUE)
    foreground = estimate_foreground(photo, alpha)
    assert foreground.shape == photo.shape
    assert foreground.dtype == np.uint8
    edge = (alpha > 0.1) & (alpha < 0.9)
    error = np.abs(foreground[edge].astype(int) - RED)
    assert error.mean() < 4
    assert error.max() < 16
    assert error.mean() < 0.05 * np.abs(photo[edge].astype(int) - RED).mean()
