"""From decoded frames to upright sRGB: matrix and range, high dynamic range, rotation."""

from mattingjax.inference.video.colours.look import Look
from mattingjax.inference.video.colours.tags import guess_matrix

__all__ = ['Look', 'guess_matrix']
