"""A picture."""

import numpy as np
import pytest


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    """Smooth, so that lossy formats keep it: [40, 60, 3]."""
    y, x = np.mgrid[:40, :60]
    return np.stack([4 * x, 6 * y, 255 - 2 * x - y], axis=-1).astype(np.uint8)
