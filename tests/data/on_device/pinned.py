"""Random numbers that are no longer random: the same for the host and for the device."""

import math

import jax.numpy as jnp
import numpy as np

from mattingjax.data.on_device.draws import Draws


class PinnedDraws(Draws):
    """Draws of the device, each the same share of its range; normal ones are 0."""

    def __init__(self, share: float):
        self.share = share

    def uniform(self, low, high):
        return low + (high - low) * jnp.float32(self.share)

    def normal(self, shape=()):
        return jnp.zeros(shape)


class PinnedGenerator:
    """What a transform of the host calls of NumPy's generator."""

    def __init__(self, share: float):
        self.share = share

    def uniform(self, low, high, size=None):
        value = low + (high - low) * self.share
        return value if size is None else np.full(size, value)

    def random(self, size=None):
        return self.uniform(0, 1, size)

    def integers(self, low, high=None, endpoint=False):
        low, high = (0, low) if high is None else (low, high)
        return math.floor(low + (high + endpoint - low) * self.share)

    def normal(self, mean, deviation):
        return mean

    def standard_normal(self, shape, dtype):
        return np.zeros(shape, dtype)


def blobs(height, width, seed=0):
    """A record of soft blobs, without anything at the lower border, and its colours."""
    import cv2

    rng = np.random.default_rng(seed)
    size = (width, height)
    image = cv2.resize(rng.integers(256, size=(7, 6, 3), dtype=np.uint8), size)
    alpha = cv2.resize(rng.random((7, 6)).astype(np.float32), size)
    alpha = np.clip(2 * alpha - 0.5, 0, 1)
    alpha[-height // 10 :] = 0
    alpha = np.round(cv2.GaussianBlur(alpha, (0, 0), 2) * 255).astype(np.float32) / 255
    return {'image': image, 'alpha': alpha, 'name': f'blobs {seed}'}
