"""The values that each setting of a training may have."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from mattingjax.config import HELD_OUT
from mattingjax.config.pruning import METHODS
from mattingjax.data.alpha_values import parse_alpha_values
from mattingjax.data.datasets import KINDS
from mattingjax.data.transforms import TRANSFORMS
from mattingjax.errors import MattingError
from mattingjax.networks import network_names
from mattingjax.training.optimizers import OPTIMIZERS, SCHEDULES
from mattingjax.training.thinning import SCHEDULES as PRUNING_SCHEDULES
from mattingjax.training.validation import FIGURES

_LARGEST = 2**31 - 1  # steps are counted in int32; other whole numbers get the same limit
_NAME_BYTES, _PATH_BYTES = 255, 4095  # the longest name and path that file systems take


@dataclasses.dataclass(frozen=True)
class Rule:
    """The values that a setting may have.

    Attributes:
      words: A description of them, or what makes it when it is needed.
      allows: Whether a value is one of them.
    """

    words: str | Callable[[], str]
    allows: Callable[[Any], bool]

    @property
    def expected(self) -> str:
        """The description of the values, which follows the word 'expected' in error messages."""
        return self.words if isinstance(self.words, str) else self.words()


def _whole(least: int, most: int = _LARGEST) -> Rule:
    def allows(value: Any) -> bool:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return whole and least <= value <= most

    return Rule(f'a whole number from {least} to {most}', allows)


def _number(least: float, most: float, *, over: bool = False, below: bool = False) -> Rule:
    """Allows numbers from `least`, or `over` it, to `most`, or `below` it.

    They are compared as the float32 that they become: 0.999999999 is not below 1.
    """

    def allows(value: Any) -> bool:
        real = isinstance(value, int | float | np.integer | np.floating)
        if not real or isinstance(value, bool) or not least <= value <= most:
            return False
        rounded = float(np.float32(value))
        return not (over and rounded <= least) and not (below and rounded >= most)

    first = f'over {least:g}' if over else f'from {least:g}'
    return Rule(f'a number {first} to {"below " if below else ""}{most:g}', allows)


def _choice(*names: str) -> Rule:
    return Rule(
        f'one of {", ".join(names)}', lambda value: isinstance(value, str) and value in names
    )


def _is_path(value: Any) -> bool:
    if not isinstance(value, str) or '\0' in value:
        return False
    try:
        encoded = os.fsencode(value)
    except UnicodeEncodeError:
        return False
    names = encoded.split(b'/')
    return len(encoded) <= _PATH_BYTES and all(len(name) <= _NAME_BYTES for name in names)


def _are_texts(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(
        isinstance(text, str) and 0 < len(text) <= _PATH_BYTES for text in value
    )


def _is_range(value: Any) -> bool:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    allows = _number(0, 100, over=True).allows
    return all(map(allows, value)) and value[0] <= value[1]


def _are_alpha_values(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parse_alpha_values(value)
    except MattingError:
        return False
    return True


PATH = Rule(f'a path, each name in it of at most {_NAME_BYTES} bytes', _is_path)
_NETWORK = Rule(  # more of them may be registered later
    lambda: f'one of {", ".join(network_names())}',
    lambda value: isinstance(value, str) and value in network_names(),
)
_FLAG = Rule('True or False', lambda value: isinstance(value, bool))
_ALPHA_VALUES = Rule('auto, grey, grey:N or labels:N', _are_alpha_values)
_TEXTS = Rule('a tuple of non-empty strings', _are_texts)
_RANGE = Rule('two numbers over 0, the lower first, at most 100', _is_range)
_SHARE, _SHARE_BELOW_1 = _number(0, 1), _number(0, 1, below=True)
_WEIGHT = _number(0, 1e6)

DATASET = {
    'kind': _choice(*KINDS),
    'root': PATH,
    'split': PATH,
    'images': PATH,
    'alphas': PATH,
    'allow_unmatched': _FLAG,
    'alpha_values': _ALPHA_VALUES,
    'count': _whole(1),
    'size': _whole(32, 2048),
    'seed': _whole(0),
    'weight': _number(1e-6, 1e6),
}

# The rules by the path of the setting. A dataset in `more_datasets` has those of DATASET.
TRAINING = {
    'seed': _whole(0),
    'steps': _whole(1),
    'epochs': _number(0, 1e6),
    'batch_size': _whole(1),
    'dtype': _choice('float32', 'bfloat16'),
    'model.network': _NETWORK,
    'model.width_multiplier': _number(0.01, 100),
    'model.dropout': _SHARE_BELOW_1,
    'model.input_size': _whole(0, 2**14),
    'model.checkpoint': PATH,
    'model.from_scratch': _FLAG,
    'model.freeze': _TEXTS,
    **{f'dataset.{name}': rule for name, rule in DATASET.items()},
    'data.transform': _choice(*TRANSFORMS),
    'data.keep_aspect': _FLAG,
    'data.close_ups': _SHARE,
    'data.close_up_scale': _RANGE,
    'data.backgrounds': PATH,
    'data.recomposition': _SHARE,
    'data.workers': _whole(0, 1024),
    'data.on_error': _choice('skip', 'raise'),
    'data.manifest': _FLAG,
    'data.on_device': _FLAG,
    'data.side': _whole(32, 2**14),
    'data.steps_per_dispatch': _whole(1, 1000),
    **{f'validation.{name}': rule for name, rule in DATASET.items()},
    'validation.kind': _choice(*KINDS, HELD_OUT),
    'validation.photos': _whole(1),
    'validation.every_steps': _whole(1),
    'validation.best': _choice(*FIGURES),
    'optimizer.name': _choice(*OPTIMIZERS),
    'optimizer.learning_rate': _number(0, 1e3, over=True),
    'optimizer.schedule': _choice(*SCHEDULES),
    'optimizer.decays': _whole(0, 1000),
    'optimizer.decay_factor': _number(0, 1, over=True),
    'optimizer.warmup_steps': _whole(0),
    'optimizer.b1': _SHARE_BELOW_1,
    'optimizer.b2': _SHARE_BELOW_1,
    'optimizer.momentum': _SHARE_BELOW_1,
    'optimizer.weight_decay': _WEIGHT,
    'optimizer.clip_norm': _WEIGHT,
    'optimizer.accumulate_steps': _whole(1),
    'optimizer.ema_decay': _SHARE_BELOW_1,
    'loss.supervised': _WEIGHT,
    'loss.distillation': _WEIGHT,
    'loss.soc': _WEIGHT,
    'loss.laplacian': _WEIGHT,
    'loss.l2': _WEIGHT,
    'loss.divide_twice': _FLAG,
    'loss.teacher': PATH,
    'loss.features': _TEXTS,
    'pruning.ratio': _SHARE_BELOW_1,
    'pruning.schedule': _choice(*PRUNING_SCHEDULES),
    'pruning.begin_step': _whole(0),
    'pruning.end_step': _whole(1),
    'pruning.every_steps': _whole(1),
    # The method 'taylor' would need gradients of a loss of its own.
    'pruning.method': _choice(*(name for name in METHODS if name != 'taylor')),
    'pruning.round_to': _whole(1, 1024),
    'pruning.min_channels': _whole(1, 2**16),
    'save_every_steps': _whole(1),
    'keep': _whole(1),
    'log_every_steps': _whole(1),
    'tensorboard': _FLAG,
}


def find_rule(path: str) -> Rule:
    """Finds the rule of the setting at a path; datasets in `more_datasets` are like `dataset`."""
    if path.startswith('more_datasets.'):
        return DATASET[path.rpartition('.')[2]]
    return TRAINING[path]
