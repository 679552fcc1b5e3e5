"""A training of few and small steps."""

import os
import subprocess
import sys
from pathlib import Path

from ml_collections import ConfigDict

from mattingjax.config import train_config
from tests.conftest import ROOT


def tiny_config(network: str = 'mmnet', **changes: object) -> ConfigDict:
    """Settings of a training in seconds; `changes` are set by path, `__` for a dot."""
    config = train_config(network)
    values = {
        'steps': 6,
        'batch_size': 4,
        'tensorboard': False,
        'save_every_steps': 2,
        'log_every_steps': 1,
        'model.width_multiplier': 0.25,
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


def run_training(
    workdir: Path, xla_flags: str = '', before: str = '', **changes: object
) -> subprocess.CompletedProcess:
    """Runs scripts/train.py with `tiny_config` in a process of its own; `before` is run first."""
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    if xla_flags:
        environment['XLA_FLAGS'] = xla_flags
    return subprocess.run(
        _command(workdir, before, changes), cwd=ROOT, env=environment, capture_output=True,
        check=False, timeout=400,
    )  # fmt: skip


def start_training(workdir: Path, **changes: object) -> subprocess.Popen:
    """The same, but it is only started, and compiles whatever was compiled before."""
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    return subprocess.Popen(
        [*_command(workdir, '', changes), '--compilation_cache='], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _command(workdir: Path, before: str, changes: dict[str, object]) -> list[str]:
    file = workdir.parent / f'{workdir.name}_config.py'
    file.write_text(
        f'{before}\nfrom tests.training.conftest import tiny_config\n'
        f'def get_config():\n    return tiny_config(**{changes!r})\n'
    )
    return [
        sys.executable, 'scripts/train.py', '--config', str(file), '--workdir', str(workdir)
    ]  # fmt: skip
