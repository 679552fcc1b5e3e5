"""How fast a network runs in OpenVINO on this machine, whatever its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from exporters.export import export_checkpoint
from exporters.options import ExportOptions
from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.files import scratch_folder
from mattingjax.inference.sessions import OpenVinoSession
from mattingjax.networks import ModelConfig, init_variables
from mattingjax.process.timing import time_in_turn


@contextlib.contextmanager
def latency_beside(
    dense: ModelConfig, rounds: int = 30
) -> Iterator[Callable[[ModelConfig], float]]:
    """Times networks that are made of one, each in turn with that one.

    What else the machine does changes from one measurement to the next, and both alike: what is
    yielded gives milliseconds as on a machine that is as busy as when the dense network was timed
    first. They are for one image of the network's input size, medians of so many rounds.

    Raises:
      ImportError: The extra `export` is not installed.
      MattingError: The export fails.
    """
    with open_exported(dense) as run_dense:
        first = time_in_turn({'dense': run_dense}, rounds)['dense']

        def measure(config: ModelConfig) -> float:
            if config == dense:
                return first * 1e3
            with open_exported(config) as run:
                seconds = time_in_turn({'dense': run_dense, 'trial': run}, rounds)
            return first * seconds['trial'] / seconds['dense'] * 1e3

        yield measure


@contextlib.contextmanager
def open_exported(config: ModelConfig) -> Iterator[Callable[[], object]]:
    """Exports a network with random weights; yields what runs it in OpenVINO on one image.

    Raises:
      ImportError: The extra `export` is not installed.
      MattingError: The export fails.
    """
    with scratch_folder() as folder:
        dense, exported = folder / 'checkpoint', folder / 'export'
        save_checkpoint(dense, Checkpoint(config, init_variables(config, 0)))
        options = ExportOptions(formats=('openvino',), verify=False)
        export_checkpoint(dense, exported, options)
        session = OpenVinoSession(exported / 'model.xml')
        images = np.zeros((1, config.input_size, config.input_size, 3), np.float32)
        yield lambda: session(images)
