"""From photos to alphas: predictors, the runtimes under them, and whole folders."""

from mattingjax.images.preprocessing import network_size
from mattingjax.inference.predictor import Predictor, create_predictor

__all__ = ['Predictor', 'create_predictor', 'network_size']
