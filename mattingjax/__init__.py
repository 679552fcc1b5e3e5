"""Portrait matting in JAX: from photos to a small network on edge hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mattingjax.process.lazy import load_on_demand

if TYPE_CHECKING:
    from mattingjax.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
    from mattingjax.errors import MattingError
    from mattingjax.images import load_image
    from mattingjax.images.compositing import composite, cut_out
    from mattingjax.images.foreground import estimate_foreground
    from mattingjax.importers import import_weights
    from mattingjax.inference import Predictor, create_predictor
    from mattingjax.inference.steadying import Steadiness
    from mattingjax.inference.video import matte_video
    from mattingjax.weights import list_weights

__all__ = [
    'Checkpoint',
    'MattingError',
    'Predictor',
    'Steadiness',
    'composite',
    'create_predictor',
    'cut_out',
    'estimate_foreground',
    'import_weights',
    'list_weights',
    'load_checkpoint',
    'load_image',
    'matte_video',
    'save_checkpoint',
]

# Matting with weights that ship needs no JAX, whose import takes longer than a photo.
__getattr__ = load_on_demand(
    __name__,
    {
        'Checkpoint': 'mattingjax.checkpoints',
        'MattingError': 'mattingjax.errors',
        'Predictor': 'mattingjax.inference',
        'Steadiness': 'mattingjax.inference.steadying',
        'composite': 'mattingjax.images.compositing',
        'create_predictor': 'mattingjax.inference',
        'cut_out': 'mattingjax.images.compositing',
        'estimate_foreground': 'mattingjax.images.foreground',
        'import_weights': 'mattingjax.importers',
        'list_weights': 'mattingjax.weights',
        'load_checkpoint': 'mattingjax.checkpoints',
        'load_image': 'mattingjax.images',
        'matte_video': 'mattingjax.inference.video',
        'save_checkpoint': 'mattingjax.checkpoints',
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
