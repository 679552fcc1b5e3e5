"""A network whose alpha is the red of what it sees, so that mattes are known."""

from __future__ import annotations

import numpy as np

from mattingjax.images.preprocessing import Preprocessing
from mattingjax.inference.predictor import Predictor


class Red:
    """A runtime; see `mattingjax.inference.runtimes.Runtime`."""

    input_size, fixed_size, resizes, compiles = 32, None, False, False
    preprocessing = Preprocessing((0.0,) * 3, (255.0,) * 3, 'short_side', 16)
    name, device, precision = 'red', 'CPU', 'f32'

    def __init__(self, parallel: int = 2):
        self.parallel = parallel
        self.runs = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.runs += 1
        return images[..., :1] / np.float32(255)


def red(parallel: int = 2) -> Predictor:
    return Predictor(Red(parallel))
