"""A training from its settings to its end.

It writes into the folder `workdir`:

config.json        the settings
data.json          the hash of every photo and checkpoint that the training reads
states/            the latest saved states, from which it is resumed
last/, best/       checkpoints: the latest network, and the one with the best validation
metrics.csv        the loss and its terms by step
validation.csv     the validation figures by step
curves.png         both tables as curves
mattes.png         mattes of photos of the validation
tensorboard/       the same numbers and mattes for TensorBoard, while the training runs
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ml_collections import ConfigDict

from mattingjax.checkpoints import load_config
from mattingjax.process import hosts
from mattingjax.process.interrupts import writing
from mattingjax.process.progress import be_quiet
from mattingjax.process.stopping import Stop
from mattingjax.training.experiment import Experiment, create_experiment
from mattingjax.training.inputs import Inputs, create_inputs, open_sources, with_steps
from mattingjax.training.loop import Training
from mattingjax.training.recorder import Recorder
from mattingjax.training.saved_states import Saver
from mattingjax.training.settings import check_path, complete_settings
from mattingjax.training.workdir import (
    BEST,
    LAST,
    STATES,
    Manifest,
    check_data,
    check_settings,
    check_shared,
    claim,
    describe_data,
    find_latest_state,
    locked,
    remove_leftovers,
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
      step: The number of steps that are done and saved.
      is_finished: Whether these are all steps.
      stopped_by: The number of the signal that stopped it; None if it is finished.
    """

    step: int
    is_finished: bool
    stopped_by: int | None


def train(config: ConfigDict, workdir: Path | str, *, own_process: bool = False) -> Outcome:
    """Trains a network, or resumes the training that an earlier call with these settings began.

    Ctrl-C and SIGTERM end the training after the steps under way, and save it; the same call then
    resumes it, bit for bit as if it had never stopped. A second Ctrl-C, or one before the first
    step, raises KeyboardInterrupt.

    Where `process.hosts.join` or a program's own `jax.distributed.initialize` has joined several
    processes, all of them call this with the same settings, and train one network together: each
    makes its share of every batch. They need one folder that all of them see; the first writes
    the tables, pictures and checkpoints. A signal to any of them stops all after one step. They
    compute, to the bit, what one process with as many devices does.

    Args:
      config: The settings that `config.train_config` made, some of them changed.
      workdir: The folder in which everything is written.
      own_process: Whether the process runs nothing but this training. Then, instead of raising
        KeyboardInterrupt, the process ends at once, even while XLA compiles, with the exit status
        128 + the signal's number.

    Raises:
      MattingError: A setting is impossible, data cannot be read or differs from what the training
        began with, the folder belongs to another experiment or is in use, or another process of
        this training failed, is gone or has other settings or data.
      NotFiniteError: The loss or the gradient is not finite; the batch is saved.
    """
    if not hosts.is_first():
        be_quiet()
    stop = Stop('the step is finished, then saved', own_process=own_process)
    with stop.watching(), hosts.leaving_the_lost(own_process=own_process):
        with hosts.together():
            check_path('workdir', workdir)
            workdir = Path(workdir)
            stop.describe = lambda: _describe_stop(find_latest_state(workdir))
            config, experiment, inputs, manifests = _prepare(config, workdir)
        _check_same_in_all(config, inputs, manifests)
        recorder = Recorder(
            workdir,
            log_every_steps=config.log_every_steps,
            tensorboard=config.tensorboard,
            process=hosts.index(),
        )
        with (
            recorder,
            _claimed(workdir, config, manifests),
            contextlib.ExitStack() as held,  # states are waited for once nobody is lost
            hosts.leaving_the_lost(own_process=own_process, at_any_error=True),
        ):
            saver = held.enter_context(Saver(workdir / STATES, config.keep))
            stop.describe = lambda: _describe_stop(saver.settled_step())
            # A network's file system may show new states late.
            hosts.check_same(f'the latest state in {workdir}', str(saver.latest_step))
            training = Training(experiment, inputs, saver, recorder, stop)
            step = training.run()
    is_finished = step >= config.steps
    return Outcome(step, is_finished, None if is_finished else training.stopped_by)


def _prepare(
    config: ConfigDict, workdir: Path
) -> tuple[ConfigDict, Experiment, Inputs, Mapping[str, Manifest] | None]:
    """Reads and checks all that a training needs; nothing is written yet."""
    config = complete_settings(config)
    sources = open_sources(config)
    config = with_steps(config, sources)
    check_settings(workdir, config)
    experiment = create_experiment(config)
    inputs = create_inputs(config, experiment.initial.config, sources)
    manifests = None
    if config.data.manifest:
        manifests = check_data(workdir, sources.named(), experiment.hashes)
    return config, experiment, inputs, manifests


def _check_same_in_all(
    config: ConfigDict, inputs: Inputs, manifests: Mapping[str, Manifest] | None
) -> None:
    """Compares what all processes must have the same, or they would wait for each other for ever.

    Raises:
      MattingError: Another process has something else.
    """
    hosts.check_same('settings', config.to_json())
    hosts.check_same('data', describe_data(inputs.batches.get_state(), manifests))
    unreadable = list(inputs.unreadable)
    if config.data.on_device:  # else each process reads its share of them, and replaces them there
        unreadable += inputs.batches.unreadable
    hosts.check_same('photos that cannot be read', json.dumps(unreadable))


@contextlib.contextmanager
def _claimed(
    workdir: Path, config: ConfigDict, manifests: Mapping[str, Manifest] | None
) -> Iterator[None]:
    """Locks the folder and writes into it what binds it to these settings, in the first process."""
    with contextlib.ExitStack() as held:
        with hosts.together():
            if hosts.is_first():
                held.enter_context(locked(workdir))
                remove_leftovers(workdir)
                with writing():
                    # Written only now, when the settings are known to work: they bind the folder.
                    claim(workdir, config, manifests)
        with hosts.together():
            check_shared(workdir, config)
        yield


def _describe_stop(step: int | None) -> str:
    """The last line of a training that ends at once, whose latest saved state is of that step."""
    begins = 'begins anew' if step is None else f'goes on from step {step}'
    return f'stopped; the same command {begins}'


def describe_end(workdir: Path, outcome: Outcome) -> str:
    """Describes in lines for people how good the network is, where it lies and what to do next."""
    if not outcome.is_finished:
        saved = f'saved after step {outcome.step}' if outcome.step else 'nothing to save yet'
        return f'{workdir}: stopped; {saved}; the same command goes on'
    lines = [f'{workdir}: finished after {outcome.step} step{"s" * (outcome.step != 1)}']
    checkpoint = workdir / BEST
    if checkpoint.is_dir():
        trained = load_config(checkpoint).provenance['trained']
        figures = ', '.join(f'{name} {value:.4g}' for name, value in trained['validation'].items())
        lines.append(f'best: {checkpoint}, of step {trained["step"]}: {figures}')
    else:  # the photos of the validation have no alphas
        checkpoint = workdir / LAST
        lines.append(f'last: {checkpoint}, of step {outcome.step}; nothing says which was best')
    name, target = shlex.quote(str(checkpoint)), shlex.quote(str(workdir / 'export'))
    lines += [
        f'next: mattingjax evaluate --checkpoint {name} --images DIR --alphas DIR',
        f'      mattingjax export --checkpoint {name} --output {target}',
    ]
    return '\n'.join(lines)
