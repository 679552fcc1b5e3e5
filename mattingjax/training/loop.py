"""The loop: steps, validation, saving, resuming.

workdir/config.json      the settings
workdir/states/          the latest states, to resume from
workdir/last/, best/     checkpoints: the network now, and where the validation was best
workdir/metrics.csv      loss and its terms by step; validation.csv: figures by step
workdir/curves.png       both as curves; mattes.png: mattes of the validation
workdir/data.json        the files that were trained on; tensorboard/: all of it, live
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tqdm
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.data.prefetch import DevicePrefetch
from mattingjax.errors import MattingError
from mattingjax.files import write_file
from mattingjax.models import Variables, init_variables
from mattingjax.training import thinning
from mattingjax.training.checkpointing import Progress, Saver
from mattingjax.training.experiment import (
    Experiment,
    create_experiment,
    describe_origin,
    restore_folded,
)
from mattingjax.training.inputs import (
    create_batches,
    load_validation,
    open_training,
)
from mattingjax.training.recorder import Recorder
from mattingjax.training.state import TrainState, create_state
from mattingjax.training.steps import Step, create_train_step
from mattingjax.training.validation import measure, predict

CONFIG_FILE = 'config.json'
# Settings that may change when a training is resumed.
_FREE = ('steps', 'save_every_steps', 'keep', 'log_every_steps', 'tensorboard')
_PIXELS = ('image', 'alpha', 'trimap')  # what a step gets of a batch


class NotFiniteError(MattingError):
    """The loss of a step is not a finite number."""


def train(config: ConfigDict, workdir: Path) -> bool:
    """Trains a network, or goes on where an earlier call with these settings stopped.

    Args:
      config: Settings; see `config.train_config`.
      workdir: Folder of everything that is written.

    Returns:
      Whether all steps are done; False if SIGTERM ended it, after it saved.

    Raises:
      MattingError: A setting is impossible, data cannot be read, or the folder is another
        experiment's.
      NotFiniteError: The loss is not finite; the batch is saved.
    """
    experiment = create_experiment(config)
    datasets = open_training(config)
    _claim(workdir, config)
    with (
        Saver(workdir / 'states', config.keep) as saver,
        Recorder(workdir, config) as recorder,
        _watching_for_sigterm() as terminated,
    ):
        return Training(experiment, datasets, saver, recorder).run(terminated)


def _claim(workdir: Path, config: ConfigDict) -> None:
    """Writes the settings into the folder; raises MattingError if others lie there."""
    file = workdir / CONFIG_FILE
    settings = json.loads(config.to_json())
    if file.is_file():
        earlier = _flatten(json.loads(file.read_text(encoding='utf-8')))
        for name, value in _flatten(settings).items():
            if name not in _FREE and earlier.get(name) != value:
                raise MattingError(
                    f'{workdir}: a training with other settings lies there: {name} was '
                    f'{earlier.get(name)!r}, is {value!r}; choose another folder'
                )
    elif workdir.is_dir() and any(workdir.iterdir()):
        raise MattingError(f'{workdir}: expected a new folder, or one of a training')
    write_file(file, (json.dumps(settings, indent=1) + '\n').encode())


def _flatten(settings: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        path = f'{prefix}{name}'
        flat |= _flatten(value, f'{path}.') if isinstance(value, dict) else {path: value}
    return flat


@contextlib.contextmanager
def _watching_for_sigterm() -> Iterator[list[int]]:
    """Yields a list that gets an entry when the process is asked to end."""
    received: list[int] = []
    earlier = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, earlier)


class Training:
    """A training between its first step and its last."""

    def __init__(
        self, experiment: Experiment, datasets: dict, saver: Saver, recorder: Recorder
    ) -> None:
        self._experiment, self._config = experiment, experiment.config
        self._saver, self._recorder = saver, recorder
        network = experiment.initial.config
        # XLA decides how what follows from a batch is spread; newer JAX would ask each time.
        automatic = (jax.sharding.AxisType.Auto,)
        self._mesh = jax.make_mesh((jax.device_count(),), ('data',), axis_types=automatic)
        self._everywhere = NamedSharding(self._mesh, PartitionSpec())
        if self._config.batch_size % jax.device_count():
            raise MattingError(
                f'batch_size: expected a multiple of the {jax.device_count()} devices, got '
                f'{self._config.batch_size}'
            )
        trimap = network.network == 'modnet' and self._config.loss.supervised > 0
        self._examples = load_validation(self._config, network.input_size)
        batches = create_batches(self._config, datasets, network.input_size, trimap=trimap)
        spread = NamedSharding(self._mesh, PartitionSpec('data'))
        self._batches = DevicePrefetch(batches, spread)
        teacher = experiment.teacher
        self._teacher = jax.device_put(teacher.variables, self._everywhere) if teacher else None
        self._best: dict[str, float] = {}
        if saver.latest_step is None:
            initial = restore_folded(experiment, datasets)
            self._network, self._state = initial.config, self._create_state(initial.variables)
        else:
            progress = saver.restore_progress()
            self._best = progress.best
            self._batches.set_state(progress.data)
            # Pruning may have made the network narrower than it was at first.
            self._network = progress.network
            template = self._create_state(init_variables(progress.network, 0))
            self._state = saver.restore_state(template)
        if self._config.data.manifest:
            recorder.write_manifest(datasets)
        recorder.begin(-1 if saver.latest_step is None else int(self._state.step))
        self._step = self._compile()

    def _create_state(self, variables: Variables) -> TrainState:
        state = create_state(
            variables,
            self._experiment.optimizer,
            freeze=tuple(self._config.model.freeze),
            averaged=self._config.optimizer.ema_decay > 0,
        )
        return jax.device_put(state, self._everywhere)

    def _compile(self) -> Step:
        step = create_train_step(
            self._network,
            self._experiment.objective,
            self._experiment.optimizer,
            self._experiment.options,
            self._experiment.teacher.config if self._experiment.teacher else None,
        )
        return jax.jit(step, donate_argnums=0, out_shardings=self._everywhere)

    def run(self, terminated: list[int]) -> bool:
        """Trains to the end, or until `terminated` has an entry; returns whether it is the end."""
        first, steps = int(self._state.step), self._config.steps
        waiting: Any = None
        if not first:
            self._validate(0)
        pace = 0.1 if sys.stderr.isatty() else 30  # a log file wants few lines
        with tqdm.tqdm(
            total=steps, initial=first, unit='step', dynamic_ncols=True, mininterval=pace
        ) as bar:
            for step in range(first + 1, steps + 1):
                batch = next(self._batches)
                pixels = {name: batch[name] for name in _PIXELS if name in batch}
                self._state, metrics = self._step(self._state, pixels, self._teacher)
                # While a step is computed, the one before is recorded.
                self._record(waiting, bar)
                waiting = step, metrics, batch
                stopping = bool(terminated)  # asked once: the signal may come at any moment
                is_last = step == steps or stopping
                if is_last or self._is_due(step):
                    self._record(waiting, bar)
                    waiting = None
                    self._pause(step, is_last)
                bar.update()
                if stopping:
                    break
        self._recorder.draw()
        return int(self._state.step) >= steps

    def _record(self, waiting: Any, bar: tqdm.tqdm) -> None:
        """Waits for a step's metrics and writes them down."""
        if waiting is None:
            return
        step, metrics, batch = waiting
        values = {name: float(value) for name, value in metrics.items()}
        if not np.isfinite(values['loss']):
            file = self._recorder.save_batch(batch)
            raise NotFiniteError(
                f'step {step}: expected a finite loss, got {values["loss"]}; its batch is in '
                f'{file}, the latest state is that of step {self._saver.latest_step or 0}'
            )
        row = {
            **values,
            'learning_rate': self._experiment.learning_rate(step - 1),
            'skipped': float(batch['skipped']),
        }
        speed = self._recorder.add_step(step, row, len(batch['image']))
        bar.set_postfix(
            {'loss': f'{values["loss"]:.4f}', 'images/s': f'{speed:.1f}'}, refresh=False
        )

    def _is_due(self, step: int) -> bool:
        config = self._config
        cadences = config.validation.every_steps, config.save_every_steps
        return thinning.is_due(config.pruning, step) or any(step % every == 0 for every in cadences)

    def _pause(self, step: int, is_last: bool) -> None:
        """Prunes, validates and saves, whatever is due."""
        config = self._config
        if thinning.is_due(config.pruning, step):
            dense = self._experiment.initial.config
            self._network, state = thinning.thin(
                config.pruning, dense, self._network, self._state, step
            )
            self._state = jax.device_put(state, self._everywhere)
            self._step = self._compile()
            self._best = {}  # a wider network's figures are no measure for a narrower one
        if is_last or step % config.validation.every_steps == 0:
            self._validate(step)
        if is_last or step % config.save_every_steps == 0:
            progress = Progress(self._network, self._batches.get_state(), self._best)
            self._saver.save(step, self._state, progress)

    def _validate(self, step: int) -> None:
        """Measures the network, and keeps it if it is the best so far."""
        if not self._examples:
            alphas, figures = [], {}
        else:
            variables = self._state.variables()
            alphas = predict(self._network, variables, self._examples, self._config.batch_size)
            figures = measure(alphas, self._examples)
        self._recorder.add_figures(step, figures, self._examples, alphas)
        trained = {**describe_origin(self._experiment), 'step': step, 'validation': figures}
        network = dataclasses.replace(self._network, provenance={'trained': trained})
        checkpoint = Checkpoint(network, jax.tree.map(np.asarray, self._state.variables()))
        save_checkpoint(self._recorder.workdir / 'last', checkpoint, overwrite=True)
        name = self._config.validation.best
        if figures and figures[name] <= self._best.get(name, np.inf):
            self._best = figures
            save_checkpoint(self._recorder.workdir / 'best', checkpoint, overwrite=True)
