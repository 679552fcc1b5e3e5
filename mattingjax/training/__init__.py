"""Training: settings and photos in, a checkpoint with its curve and its figures out."""

from mattingjax.training.loop import NotFiniteError
from mattingjax.training.start import Outcome, describe_end, train

__all__ = ['NotFiniteError', 'Outcome', 'describe_end', 'train']
