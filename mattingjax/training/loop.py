"""The loop: steps, validation, saving, resuming.

workdir/config.json      the settings
workdir/states/          the latest states, to resume from
workdir/last/, best/     checkpoints: the network now, and where the validation was best
workdir/metrics.csv      loss and its terms by step; validation.csv: figures by step
workdir/curves.png       both as curves; mattes.png: mattes of the validation
workdir/data.json        every file that it sees, with its hash; tensorboard/: all of it, live
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tqdm
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.data.folders import list_some
from mattingjax.data.prefetch import DevicePrefetch
from mattingjax.errors import MattingError
from mattingjax.models import Variables, init_variables
from mattingjax.training import thinning
from mattingjax.training.capacity import check_photos
from mattingjax.training.checkpointing import Progress, Saver
from mattingjax.training.experiment import (
    Experiment,
    create_experiment,
    describe_origin,
    restore_folded,
)
from mattingjax.training.inputs import (
    Example,
    Sources,
    check_sources,
    create_batches,
    load_validation,
    open_sources,
    with_steps,
)
from mattingjax.training.recorder import Recorder
from mattingjax.training.settings import check_path, complete_settings
from mattingjax.training.state import TrainState, create_state
from mattingjax.training.steps import Step, create_train_step
from mattingjax.training.validation import measure, predict
from mattingjax.training.workdir import STATES, check_data, check_settings, claim, locked

_PIXELS = ('image', 'alpha', 'trimap')  # what a step gets of a batch


class NotFiniteError(MattingError):
    """The loss of a step, or its gradient, is not a finite number."""


def train(config: ConfigDict, workdir: Path | str) -> bool:
    """Trains a network, or goes on where an earlier call with these settings stopped.

    Args:
      config: Settings; see `config.train_config`.
      workdir: Folder of everything that is written.

    Returns:
      Whether all steps are done; False if SIGTERM ended it, after it saved.

    Raises:
      MattingError: A setting is impossible, data cannot be read or is not what the training began
        with, or the folder is another experiment's or in use.
      NotFiniteError: The loss or the gradient is not finite; the batch is saved.
    """
    check_path('workdir', workdir)
    workdir = Path(workdir)
    config = complete_settings(config)
    check_settings(workdir, config)
    sources = open_sources(config)
    config = with_steps(config, sources)
    experiment = create_experiment(config)
    inputs = Inputs.create(experiment, sources)
    manifests = None
    if config.data.manifest:
        manifests = check_data(workdir, sources.named(), experiment.hashes)
    with (
        Recorder(workdir, config) as recorder,
        locked(workdir),
        _watching_for_sigterm() as terminated,
    ):
        # Only now, when nothing is wrong with the settings: they are bound to the folder.
        claim(workdir, config, manifests)
        with Saver(workdir / STATES, config.keep) as saver:
            return Training(inputs, saver, recorder).run(terminated)


@contextlib.contextmanager
def _watching_for_sigterm() -> Iterator[list[int]]:
    """Yields a list that gets an entry when the process is asked to end.

    Only the main thread can watch; in another one the list stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    earlier = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, earlier)


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """What a training needs, checked; its folder is not touched yet.

    Attributes:
      experiment: The settings, and what they mean.
      sources: Where the photos lie.
      batches: Those of the training, spread over the devices.
      everywhere: The placement of what each device has whole.
      examples: Photos to validate on.
      unreadable: What was said of those that could not be read.
    """

    experiment: Experiment
    sources: Sources
    batches: DevicePrefetch
    everywhere: NamedSharding
    examples: list[Example]
    unreadable: list[str]

    @classmethod
    def create(cls, experiment: Experiment, sources: Sources) -> Inputs:
        """Opens the pipeline, reads its first batches, and loads the photos of the validation.

        Args:
          experiment: The settings, and what they mean.
          sources: Where the photos lie.

        Raises:
          MattingError: Photos cannot be read, or lack what the losses need.
        """
        config, network = experiment.config, experiment.initial.config
        check_sources(config, sources)
        check_photos(config, network, len(sources.validation))
        # XLA decides how what follows from a batch is spread; newer JAX would ask each time.
        automatic = (jax.sharding.AxisType.Auto,)
        mesh = jax.make_mesh((jax.device_count(),), ('data',), axis_types=automatic)
        trimap = network.network == 'modnet' and config.loss.supervised > 0
        batches = create_batches(config, sources, network.input_size, trimap=trimap)
        spread = DevicePrefetch(batches, NamedSharding(mesh, PartitionSpec('data')))
        loaded = load_validation(config, sources, network.input_size)
        spread.fill()
        return cls(experiment, sources, spread, NamedSharding(mesh, PartitionSpec()), *loaded)


class Training:
    """A training between its first step and its last."""

    def __init__(self, inputs: Inputs, saver: Saver, recorder: Recorder) -> None:
        experiment = inputs.experiment
        self._inputs, self._experiment, self._config = inputs, experiment, experiment.config
        self._saver, self._recorder = saver, recorder
        self._everywhere, self._batches = inputs.everywhere, inputs.batches
        teacher = experiment.teacher
        self._teacher = jax.device_put(teacher.variables, self._everywhere) if teacher else None
        self._best: dict[str, float] = {}
        if saver.latest_step is None:
            initial = restore_folded(experiment, inputs.sources)
            self._network, self._state = initial.config, self._create_state(initial.variables)
        else:
            progress = saver.restore_progress()
            self._best = progress.best
            self._batches.set_state(progress.data)
            # Pruning may have made the network narrower than it was at first.
            self._network = progress.network
            template = self._create_state(init_variables(progress.network, 0))
            self._state = saver.restore_state(template)
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
                    self._pause(step, stopping)
                bar.update()
                if stopping:
                    break
        self._recorder.draw()
        if unreadable := [*self._inputs.unreadable, *self._batches.unreadable]:
            said = f'{len(unreadable)} photos could not be read: {list_some(unreadable)}'
            tqdm.tqdm.write(said, file=sys.stderr)
        return int(self._state.step) >= steps

    def _record(self, waiting: Any, bar: tqdm.tqdm) -> None:
        """Waits for a step's metrics and writes them down."""
        if waiting is None:
            return
        step, metrics, batch = waiting
        values = {name: float(value) for name, value in metrics.items()}
        for name, words in (('loss', 'loss'), ('gradient_norm', 'norm of the gradient')):
            if not np.isfinite(values[name]):
                file = self._recorder.save_batch(batch)
                raise NotFiniteError(
                    f'step {step}: expected a finite {words}, got {values[name]}; its batch is in '
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

    def _pause(self, step: int, stopping: bool) -> None:
        """Prunes, validates and saves, whatever is due; saves in any case before a stop."""
        config = self._config
        if thinning.is_due(config.pruning, step):
            dense = self._experiment.initial.config
            self._network, state = thinning.thin(
                config.pruning, dense, self._network, self._state, step
            )
            self._state = jax.device_put(state, self._everywhere)
            self._step = self._compile()
            self._best = {}  # a wider network's figures are no measure for a narrower one
        is_last = step == config.steps
        if validates := is_last or step % config.validation.every_steps == 0:
            self._validate(step)
        if is_last or stopping or step % config.save_every_steps == 0:
            progress = Progress(self._network, self._batches.get_state(), self._best)
            self._saver.save(step, self._state, progress)
        if stopping and not validates:
            # The network of now, but no figures: a training that was not stopped has none here.
            self._keep('last', step, {})

    def _validate(self, step: int) -> None:
        """Measures the network, and keeps it if it is the best so far."""
        examples = self._inputs.examples
        variables = self._state.variables()
        alphas = predict(self._network, variables, examples, self._config.batch_size)
        figures = measure(alphas, examples)
        self._recorder.add_figures(step, figures, examples, alphas)
        self._keep('last', step, figures)
        name = self._config.validation.best
        if figures and figures[name] <= self._best.get(name, np.inf):
            self._best = figures
            self._keep('best', step, figures)

    def _keep(self, name: str, step: int, figures: dict[str, float]) -> None:
        """Writes the network as it is now as the checkpoint of this name."""
        trained = {**describe_origin(self._experiment), 'step': step, 'validation': figures}
        network = dataclasses.replace(self._network, provenance={'trained': trained})
        checkpoint = Checkpoint(network, jax.tree.map(np.asarray, self._state.variables()))
        save_checkpoint(self._recorder.workdir / name, checkpoint, overwrite=True)
