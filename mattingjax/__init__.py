"""Portrait matting in JAX: from photos to a small network on edge hardware."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mattingjax.checkpoints import Checkpoint, list_weights, load_checkpoint, save_checkpoint
    from mattingjax.errors import MattingError
    from mattingjax.images import load_image
    from mattingjax.images.compositing import composite, cut_out, estimate_foreground
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
# Where each name is from: it is imported when it is asked for, so that a command need not wait for
# what it does not use.
_HOMES = {
    'checkpoints': ('Checkpoint', 'list_weights', 'load_checkpoint', 'save_checkpoint'),
    'errors': ('MattingError',),
    'images': ('load_image',),
    'images.compositing': ('composite', 'cut_out', 'estimate_foreground'),
    'importers': ('import_weights',),
    'inference': ('Predictor', 'create_predictor'),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f'{__name__}.{home}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return [*globals(), *__all__]
