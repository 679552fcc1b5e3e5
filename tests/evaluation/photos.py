"""Photos whose matte is known, and a network that is nearly right."""

import numpy as np

from mattingjax.evaluation import (
    EvaluationOptions,
)

NAMES = ['a', 'b', 'c d']
SIZES = [(60, 46), (40, 64), (50, 50)]
WHOLE = EvaluationOptions(regions=('whole',))
MAD_ALONE = EvaluationOptions(regions=('whole',), metrics=('mad',))


def disc(height, width):
    """A soft disc in the middle, in whole 255ths so that PNG files keep it."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.round(np.clip((12 - distance) / 4, 0, 1) * 255).astype(np.float32) / 255


def brightness(image):
    """A network, of a kind."""
    return image.mean(-1, dtype=np.float32) / 255
