"""From photos to alphas: predictors, the runtimes under them, and whole folders."""

from mattingjax.inference.predictor import Predictor, create_predictor, network_size

__all__ = ['Predictor', 'create_predictor', 'network_size']
