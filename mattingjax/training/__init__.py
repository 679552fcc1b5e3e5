"""Training: settings and photos in, a checkpoint with its curve and its figures out."""

from mattingjax.training.loop import NotFiniteError, train

__all__ = ['NotFiniteError', 'train']
