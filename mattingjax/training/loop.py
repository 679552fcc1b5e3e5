"""The training loop: it runs the steps, validates, prunes, saves and resumes."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.data.batches import Round
from mattingjax.errors import MattingError, list_some
from mattingjax.networks import Variables, init_variables
from mattingjax.process import hosts
from mattingjax.process.interrupts import writing
from mattingjax.process.progress import announced, say, show_progress
from mattingjax.process.stopping import Stop
from mattingjax.pruning import restore_batch_norm
from mattingjax.training.agreement import Agreement
from mattingjax.training.dispatch import Dispatch, create_dispatch
from mattingjax.training.experiment import Experiment
from mattingjax.training.inputs import Inputs
from mattingjax.training.recorder import Recorder
from mattingjax.training.saved_states import Progress, Saver
from mattingjax.training.state import TrainState
from mattingjax.training.steps import create_train_step
from mattingjax.training.validation import Example, measure, predict
from mattingjax.training.workdir import BEST, LAST

_STATISTICS_PHOTOS = 32  # on which folded batch normalisation is restored


class NotFiniteError(MattingError):
    """The loss of a step, or its gradient, is not a finite number."""


class Training:
    """A training from its first step, or from its latest saved state, to its last step.

    Args:
      experiment: What is trained, and how.
      inputs: The batches, and the photos to validate on.
      saver: The saved states; the latest one is restored if there is any.
      recorder: Writes tables and pictures into the folder of the training.
      stop: Says whether the training was asked to end.
    """

    def __init__(
        self, experiment: Experiment, inputs: Inputs, saver: Saver, recorder: Recorder, stop: Stop
    ) -> None:
        self._experiment, self._inputs = experiment, inputs
        self._saver, self._recorder, self._stop = saver, recorder, stop
        self._placement, self._batches = inputs.placement, inputs.batches
        self._agreement = Agreement(stop, inputs.placement, inputs.batches.most)
        teacher = experiment.teacher
        self._teacher = self._placement.broadcast(teacher.variables) if teacher else None
        self._best: dict[str, float] = {}
        self._dispatch: Dispatch | None = None
        if saver.latest_step is None:
            initial = self._restore_folded(experiment.initial)
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

    def _create_state(self, variables: Variables) -> TrainState:
        return self._placement.broadcast(self._experiment.create_state(variables))

    def _restore_folded(self, checkpoint: Checkpoint) -> Checkpoint:
        """Restores the batch normalisation that was folded into the network's kernels.

        Imported weights may have it folded; such layers would be trained without it.
        """
        network, batches = checkpoint.config, -(-_STATISTICS_PHOTOS // self._experiment.batch_size)
        images = self._batches.first_images(batches)
        return Checkpoint(network, restore_batch_norm(network, checkpoint.variables, images))

    @property
    def stopped_by(self) -> int | None:
        """The number of the signal that some process of the training got; None if none did."""
        return self._agreement.requested

    def run(self) -> int:
        """Trains to the end, or until asked to stop; returns the number of steps done."""
        first, steps = int(self._state.step), self._experiment.steps
        if first < steps:
            self._catch_up(first)
            if self._dispatch is None:
                self._compile(first)
            if self._agreement.ask() is None:
                self._run_steps(first, steps)
        with writing():
            self._recorder.draw()
        if unreadable := [*self._inputs.unreadable, *self._batches.unreadable]:
            say(f'{len(unreadable)} photos could not be read: {list_some(unreadable)}')
        return int(self._state.step)

    def _run_steps(self, first: int, steps: int) -> None:
        waiting: Any = None
        with show_progress(total=steps, initial=first, unit='step', description='training') as bar:
            step = first
            while step < steps:
                taken = self._batches.take(self._count_steps(step))
                metrics = self._compute(step, taken)
                self._stop.has_done_something()
                self._saver.check()
                told = self._agreement.tell(taken.skipped)
                # The steps before are recorded while the device computes these.
                self._record(waiting, bar)
                waiting = step, metrics, taken, told
                step += taken.count
                if self._agreement.requested is not None or self._is_due(step):
                    self._record(waiting, bar)
                    waiting = None
                    if self._pause(step):
                        break
                bar.update(taken.count)

    def _count_steps(self, step: int) -> int:
        """Counts the steps after this one that one call computes: until something is due."""
        most = self._batches.most
        return next((n for n in range(1, most) if self._is_due(step + n)), most)

    def _compute(self, step: int, taken: Round) -> dict[str, jax.Array]:
        """Computes the steps of a round, which follows that step; returns their metrics."""
        assert self._dispatch is not None
        inputs = self._experiment.step_inputs(step, taken.count, self._batches.most)
        self._state, metrics = self._dispatch(
            self._state,
            self._batches.held,
            taken.arrays,
            np.int32(taken.count),
            self._teacher,
            inputs,
        )
        return metrics

    def _compile(self, step: int) -> None:
        """Compiles what runs after that step, so that no signal has to wait for it later."""
        message = 'compiling (once, a minute or two; less if an earlier start has compiled it)'
        with self._stop.nothing_at_stake(), announced(message, 'compiled'):
            self._dispatch = self._compile_dispatch()
            variables, examples = self._state.variables(), self._inputs.examples[:1]
            self._predict(variables, examples)
        self._recorder.restart_clock(step)

    def _compile_dispatch(self) -> Dispatch:
        step = create_train_step(
            self._network,
            self._experiment.objective,
            self._experiment.create_optimizer,
            self._experiment.step_options,
            self._experiment.teacher.config if self._experiment.teacher else None,
        )
        batches = self._batches
        dispatch = create_dispatch(step, batches.make_batch, batches.most)
        compiled = jax.jit(dispatch, donate_argnums=0, out_shardings=self._placement.everywhere)
        inputs = self._experiment.step_inputs(0, 1, batches.most)
        return compiled.lower(
            self._state, batches.held, batches.peek(), np.int32(1), self._teacher, inputs
        ).compile()

    def _record(self, waiting: Any, bar: Any) -> None:
        """Waits for the metrics of a round's steps and writes them down."""
        if waiting is None:
            return
        first, metrics, taken, told = waiting
        columns = {name: np.asarray(values) for name, values in metrics.items()}
        skipped = self._agreement.hear(told)
        speed = self._recorder.measure_speed(first + taken.count, self._experiment.batch_size)
        for i in range(taken.count):
            values = {name: float(column[i]) for name, column in columns.items()}
            self._check_finite(values, first + i + 1, taken, i)
            row = {
                **values,
                'learning_rate': self._experiment.learning_rate(first + i),
                'skipped': float(skipped[i]),
            }
            self._recorder.add_step(first + i + 1, row)
        bar.set_postfix(
            {'loss': f'{values["loss"]:.4f}', 'images/s': f'{speed:.1f}'}, refresh=False
        )

    def _check_finite(self, values: dict[str, float], step: int, taken: Round, i: int) -> None:
        for name, words in (('loss', 'loss'), ('gradient_norm', 'norm of the gradient')):
            if not np.isfinite(values[name]):
                file = self._recorder.save_batch(self._batches.read_batch(taken, i))
                raise NotFiniteError(
                    f'step {step}: expected a finite {words}, got {values[name]}; its batch is in '
                    f'{file}, the latest state is that of step {self._saver.latest_step or 0}'
                )

    def _is_due(self, step: int) -> bool:
        """Says whether something is done after a step: pruning, validating, saving or ending."""
        experiment = self._experiment
        return (
            step == experiment.steps
            or step % experiment.validate_every == 0
            or step % experiment.save_every == 0
            or experiment.thinning.is_due(step)
        )

    def _pause(self, step: int) -> bool:
        """Saves, prunes and validates as is due after a step; before a stop it only saves.

        It saves first: a training that is resumed from that state prunes and validates again.

        Returns:
          Whether the training stops here.
        """
        is_last = step == self._experiment.steps
        is_thinned = self._experiment.thinning.is_due(step)
        if not is_last and (is_thinned or step % self._experiment.save_every == 0):
            self._save(step)
        if is_last or self._agreement.requested is None:
            self._catch_up(step)
        # Asked once: the signal may come at any moment.
        stopping = not is_last and self._agreement.requested is not None
        if is_last or stopping:
            self._save(step)
        if stopping:
            # Without figures: before a stop, the validation is left out or cut short.
            self._keep(LAST, step, {})
        return stopping

    def _save(self, step: int) -> None:
        progress = Progress(self._network, self._batches.get_state(), self._best)
        with writing():
            self._saver.save(step, self._state, progress)

    def _catch_up(self, step: int) -> None:
        """Prunes and validates if it is due after a step."""
        experiment = self._experiment
        if experiment.thinning.is_due(step):
            self._thin(step)
        if step == experiment.steps or step % experiment.validate_every == 0:
            self._validate(step)

    def _thin(self, step: int) -> None:
        experiment, network = self._experiment, self._network
        with self._stop.nothing_at_stake():
            self._network, state = experiment.thinning.thin(
                experiment.initial.config, network, self._state, step
            )
            self._state = self._placement.broadcast(state)
            self._best = {}  # a narrower network need not be as good as a wider one was
            if step < self._experiment.steps:
                self._compile(step)

    def _validate(self, step: int) -> None:
        """Measures the network and keeps it if it is the best so far, unless it is to stop."""
        examples, size = self._inputs.examples, self._experiment.batch_size
        variables = self._state.variables()
        alphas: list[np.ndarray] = []
        for start in range(0, len(examples), size):
            if self._agreement.ask() is not None and step < self._experiment.steps:
                return
            alphas += self._predict(variables, examples[start : start + size])
        figures = measure(alphas, examples)
        with writing():
            self._recorder.add_figures(step, figures, examples, alphas)
            self._keep(LAST, step, figures)
            name = self._experiment.best
            if figures and figures[name] <= self._best.get(name, np.inf):
                self._best = figures
                self._keep(BEST, step, figures)

    def _predict(self, variables: Variables, examples: list[Example]) -> list[np.ndarray]:
        size = self._experiment.batch_size
        return predict(self._network, variables, examples, size, self._placement)

    def _keep(self, name: str, step: int, figures: dict[str, float]) -> None:
        """Writes the present network as the checkpoint of this name, in the first process."""
        if not hosts.is_first():
            return
        trained = {**self._experiment.origin, 'step': step, 'validation': figures}
        network = dataclasses.replace(self._network, provenance={'trained': trained})
        checkpoint = Checkpoint(network, jax.tree.map(np.asarray, self._state.variables()))
        with writing():
            save_checkpoint(self._recorder.workdir / name, checkpoint, overwrite=True)
