"""Portrait matting in JAX: from photos to a small network on edge hardware."""

from mattingjax.checkpoints import Checkpoint, list_weights, load_checkpoint, save_checkpoint
from mattingjax.errors import MattingError
from mattingjax.images import load_image
from mattingjax.images.compositing import composite, cut_out
from mattingjax.images.foreground import estimate_foreground
from mattingjax.importers import import_weights
from mattingjax.inference import Predictor, create_predictor

__all__ = [
    'Checkpoint',
    'MattingError',
    'Predictor',
    'composite',
    'create_predictor',
    'cut_out',
    'estimate_foreground',
    'import_weights',
    'list_weights',
    'load_checkpoint',
    'load_image',
    'save_checkpoint',
]
