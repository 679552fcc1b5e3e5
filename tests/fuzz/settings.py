"""Settings: of trainings, of pruning, of networks, and lists of photos in CSV files."""

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from exporters.options import ExportOptions
from mattingjax.config import prune_config, train_config
from mattingjax.data.datasets import open_csv
from mattingjax.evaluation import EvaluationOptions
from mattingjax.networks import MMNetConfig, create_model_config
from mattingjax.networks.model_config import ModelConfig
from mattingjax.pruning import PruneOptions
from mattingjax.training.experiment import create_experiment
from mattingjax.training.settings import complete_settings
from tests.fuzz import traps
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import TEXTS, hostile_number, hostile_value, mutate_bytes, mutate_json
from tests.fuzz.observer import unobserved

_WORDS = ('mmnet', 'modnet', 'adam', 'sgd', 'cosine', 'global', 'taylor', 'l1', '0.5x', '*', '8')


def _change(rng: np.random.Generator, config: Any, count: int) -> None:
    """Sets settings of a ConfigDict to something else of their type, mostly."""
    for _ in range(count):
        where = config
        while True:
            key = list(where.keys())[rng.integers(len(where))]
            if not hasattr(where[key], 'keys') or not len(where[key]):
                break
            where = where[key]
        value: Any = hostile_value(rng)
        if isinstance(where[key], int | float) and rng.integers(4):
            value = hostile_number(rng)
        elif isinstance(where[key], str) and rng.integers(4):
            value = str(rng.choice((*_WORDS, *TEXTS)))
        try:
            where[key] = value
        except (TypeError, ValueError):
            continue  # ml_collections refuses other types, also those of the command line


def _unpack(path: Path) -> Any:
    """What a `make` of this module has packed, which is no input itself."""
    with unobserved():
        return pickle.loads(path.read_bytes())


def make_training(rng: np.random.Generator, folder: Path, _: Path) -> None:
    config = train_config(str(rng.choice(['mmnet', 'modnet'])))
    config.model.width_multiplier = 0.25  # quick
    config.model.input_size = 64
    _change(rng, config, int(rng.integers(1, 4)))
    (folder / 'config.pkl').write_bytes(pickle.dumps(config))


def use_training(folder: Path) -> None:
    experiment = create_experiment(complete_settings(_unpack(folder / 'config.pkl')))
    rate = experiment.learning_rate(0)
    if not np.isfinite(rate):
        raise MalformedError(f'learning rate {rate}')


def make_options(rng: np.random.Generator, folder: Path, _: Path) -> None:
    """Those of pruning, of evaluating, of exporting and of a network, as JSON."""
    pruning = prune_config()
    pruning.ratio = 0.5
    _change(rng, pruning, int(rng.integers(0, 4)))
    network = create_model_config('mmnet', MMNetConfig.from_multiplier(0.25)).to_dict()
    options = {
        'pruning': pruning.to_dict(),
        'evaluation': mutate_json(rng, {'metrics': ['mad'], 'regions': ['whole'], 'size': 'photo'}),
        'export': mutate_json(rng, {'formats': ['pb'], 'height': 64, 'batch_size': 1}),
        'network': mutate_json(rng, network),
    }
    which = str(rng.choice(list(options)))
    (folder / 'options.pkl').write_bytes(pickle.dumps((which, options[which])))


def use_options(folder: Path) -> None:
    which, options = _unpack(folder / 'options.pkl')
    if which == 'pruning':
        json.dumps(PruneOptions.from_settings(options).to_dict(), allow_nan=False)
    elif which == 'network':
        config = ModelConfig.from_dict(options)
        if ModelConfig.from_dict(config.to_dict()) != config:
            raise MalformedError('it does not come back from its own JSON')
    elif isinstance(options, dict):
        cls = EvaluationOptions if which == 'evaluation' else ExportOptions
        known = {key: value for key, value in options.items() if key in cls.__dataclass_fields__}
        cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})


# A list may name files anywhere, so that reading those of the trap is no fault.
_NAMES = tuple(text for text in TEXTS if text != traps.WAY)


def make_list(rng: np.random.Generator, folder: Path, _: Path) -> None:
    (folder / 'a.png').write_bytes(b'')
    rows = [['image', 'alpha'], ['a.png', 'a.png'], ['a.png', '']][: rng.integers(1, 4)]
    for _ in range(rng.integers(1, 4)):
        row = rows[rng.integers(len(rows))]
        row[rng.integers(2)] = str(rng.choice(np.array(_NAMES, object)))
    with (folder / 'list.csv').open('w', newline='', errors='surrogatepass') as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    if rng.integers(2):
        content = mutate_bytes(rng, (folder / 'list.csv').read_bytes())
        (folder / 'list.csv').write_bytes(content)


def use_list(folder: Path) -> None:
    if not len(open_csv(folder / 'list.csv')):
        raise MalformedError('no record')
