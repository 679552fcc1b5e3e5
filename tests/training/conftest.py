"""Trainings of few and small steps, in this process and in others, and what they leave."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

import mattingjax
from mattingjax.config import train_config
from mattingjax.training import train
from mattingjax.training.recorder import read_table
from tests import forked
from tests.conftest import ROOT
from tests.toy import TOY

# Settings of a training that is interrupted in many places, and of one that is not.
STEPS = 36
WHOLE = {
    'steps': STEPS, 'batch_size': 2, 'dataset__count': 16, 'save_every_steps': 4, 'keep': 2,
    'validation__every_steps': 10, 'optimizer__ema_decay': 0.9, 'model__dropout': 0.1,
    'tensorboard': True, 'validation__count': 3,
}  # fmt: skip


def tiny_config(network: str = TOY.name, **changes: object) -> ConfigDict:
    """Settings of a training in seconds; `changes` are set by path, `__` for a dot."""
    config = train_config(network)
    values = {
        'steps': 6,
        'batch_size': 4,
        'tensorboard': False,
        'save_every_steps': 2,
        'log_every_steps': 1,
        'model.width_multiplier': 1.0 if network == TOY.name else 0.25,
        'model.input_size': 32,
        'dataset.kind': 'synthetic',
        'dataset.count': 8,
        'dataset.size': 32,
        'validation.kind': 'synthetic',
        'validation.count': 4,
        'validation.size': 32,
        'validation.seed': 1,
        'validation.every_steps': 3,
        'optimizer.learning_rate': 1e-3,
        **{name.replace('__', '.'): value for name, value in changes.items()},
    }
    for path, value in values.items():
        *parents, name = path.split('.')
        section = config
        for parent in parents:
            section = section[parent]
        section[name] = value
    return config


def put(config: ConfigDict, path: str, value: object) -> None:
    """Sets a value of whatever type, as JSON or a program might."""
    *parents, name = path.split('.')
    for parent in parents:
        config = config[parent]
    with config.ignore_type():
        config[name] = value


def run_training(workdir: Path, before: str = '', **changes: object) -> subprocess.CompletedProcess:
    """Runs scripts/train.py with `tiny_config` in a process of its own; `before` is run first."""
    arguments = _arguments(workdir, before, changes)
    return forked.run_script('scripts/train.py', *arguments, timeout=forked.LONG_SECONDS)


def start_training(workdir: Path, **changes: object) -> subprocess.Popen:
    """The same, but it is only started, by Python itself, and compiles whatever it needs."""
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    arguments = [*_arguments(workdir, '', changes), '--compilation_cache=']
    return subprocess.Popen(
        [sys.executable, 'scripts/train.py', *arguments], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _arguments(workdir: Path, before: str, changes: dict[str, object]) -> list[str]:
    file = workdir.parent / f'{workdir.name}_config.py'
    quick = jax.config.values['jax_disable_most_optimizations']  # the same programs as here
    file.write_text(
        f'import jax\njax.config.update("jax_disable_most_optimizations", {quick})\n'
        f'{before}\nfrom tests.training.conftest import tiny_config\n'
        f'def get_config():\n    return tiny_config(**{changes!r})\n'
    )
    return ['--config', str(file), '--workdir', str(workdir)]


@pytest.fixture(scope='module')
def whole(quickly_compiled: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that nothing interrupted."""
    workdir = tmp_path_factory.mktemp('whole') / 'run'
    assert train(tiny_config(**WHOLE), workdir).is_finished
    return workdir


def read_losses(workdir: Path) -> dict[int, float]:
    """Step → loss."""
    return {int(row['step']): row['loss'] for row in read_table(workdir / 'metrics.csv')}


def find_states(workdir: Path) -> list[int]:
    """The steps of the saved states."""
    return sorted(int(path.name) for path in workdir.glob('states/*') if path.name.isdigit())


def load_end(workdir: Path) -> tuple[list[dict], list[int]]:
    """The network at the end, and the best one: variables and the steps that they are of."""
    found = [mattingjax.load_checkpoint(workdir / name) for name in ('last', 'best')]
    steps = [checkpoint.config.provenance['trained']['step'] for checkpoint in found]
    return [checkpoint.variables for checkpoint in found], steps


def assert_as_if_nothing_had_happened(workdir: Path, whole: Path) -> None:
    """The same losses, figures and networks, to the bit."""
    assert read_losses(workdir) == read_losses(whole)
    assert read_table(workdir / 'validation.csv') == read_table(whole / 'validation.csv')
    (variables, steps), (expected, expected_steps) = load_end(workdir), load_end(whole)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, variables, expected)))
    assert steps == expected_steps


def step_that_fails(name: str, at: int) -> Callable:
    """What a compiled step may be replaced by: it does nothing, and fails at step `at`."""

    def dispatch(state, held, arrays, count, teacher, inputs):
        values = {'loss': 0.5, 'gradient_norm': 1.0}
        if int(state.step) + 1 == at:
            values[name] = np.inf
        rows = {key: [value] for key, value in values.items()}
        return state.replace(step=state.step + 1), rows

    return dispatch
