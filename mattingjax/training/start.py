"""A training from its settings to its end.

workdir/config.json      the settings
workdir/states/          the latest states, to resume from
workdir/last/, best/     checkpoints: the network now, and where the validation was best
workdir/metrics.csv      loss and its terms by step; validation.csv: figures by step
workdir/curves.png       both as curves; mattes.png: mattes of the validation
workdir/data.json        every file that it sees, with its hash; tensorboard/: all of it, live
"""

from __future__ import annotations

import functools
from pathlib import Path

from ml_collections import ConfigDict

from mattingjax.process.interrupts import writing
from mattingjax.training.ending import Outcome
from mattingjax.training.experiment import create_experiment
from mattingjax.training.inputs import open_sources, with_steps
from mattingjax.training.loop import Inputs, Training
from mattingjax.training.recorder import Recorder
from mattingjax.training.saved_states import Saver
from mattingjax.training.settings import check_path, complete_settings
from mattingjax.training.stopping import Stop
from mattingjax.training.workdir import (
    STATES,
    check_data,
    check_settings,
    claim,
    find_latest_state,
    locked,
    remove_leftovers,
)


def train(config: ConfigDict, workdir: Path | str, *, own_process: bool = False) -> Outcome:
    """Trains a network, or goes on where an earlier call with these settings stopped.

    Ctrl-C and SIGTERM end it after the step that it is at, and it saves: the same call goes on, to
    the bit as if nothing had happened. A second Ctrl-C, or one before the first step, raises
    KeyboardInterrupt.

    Args:
      config: Settings; see `config.train_config`.
      workdir: Folder of everything that is written.
      own_process: Whether the process is there for this training alone: instead of raising
        KeyboardInterrupt, it is ended, at once also while XLA compiles, with 128 and the signal's
        number as its status.

    Raises:
      MattingError: A setting is impossible, data cannot be read or is not what the training began
        with, or the folder is another experiment's or in use.
      NotFiniteError: The loss or the gradient is not finite; the batch is saved.
    """
    stop = Stop(own_process=own_process)
    with stop.watching():
        check_path('workdir', workdir)
        workdir = Path(workdir)
        stop.latest_step = functools.partial(find_latest_state, workdir)
        config = complete_settings(config)
        sources = open_sources(config)
        config = with_steps(config, sources)
        check_settings(workdir, config)
        experiment = create_experiment(config)
        inputs = Inputs.create(experiment, sources)
        manifests = None
        if config.data.manifest:
            manifests = check_data(workdir, sources.named(), experiment.hashes)
        with Recorder(workdir, config) as recorder, locked(workdir):
            remove_leftovers(workdir)
            with writing():
                # Only now, when nothing is wrong with the settings: they are bound to the folder.
                claim(workdir, config, manifests)
            with Saver(workdir / STATES, config.keep) as saver:
                stop.latest_step = saver.settled_step
                step = Training(inputs, saver, recorder, stop).run()
    is_finished = step >= config.steps
    return Outcome(step, is_finished, None if is_finished else stop.requested)
