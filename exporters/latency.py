"""How fast networks run in OpenVINO on this machine, whatever their weights."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from exporters.options import ExportOptions
from exporters.pipeline import export_checkpoint
from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.inference.sessions import OpenVinoSession
from mattingjax.networks import ModelConfig, init_variables
from mattingjax.process.files import scratch_folder
from mattingjax.process.timing import time_in_turn

_ROUNDS = 20


@contextlib.contextmanager
def latency_beside(
    dense: ModelConfig, rounds: int = 30
) -> Iterator[Callable[[ModelConfig], float]]:
    """Times pruned networks, each in turn with the dense one.

    Other work of the machine changes between measurements and slows both networks alike: the ratio
    of the two, times the dense network's first time, is comparable between measurements.

    Args:
      dense: The dense network.
      rounds: The number of timed runs of each network.

    Yields:
      A function from a network to the milliseconds that it takes for one image of its input size,
      the median of the runs.

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


def time_exported(configs: Mapping[str, ModelConfig]) -> dict[str, float]:
    """Times networks in OpenVINO, all of them in turn.

    Args:
      configs: Name → network, each for one image of its input size.

    Returns:
      Name of each network → the median of 20 runs in seconds.

    Raises:
      ImportError: The extra `export` is not installed.
      MattingError: The export fails.
    """
    with contextlib.ExitStack() as stack:
        runs = {
            name: stack.enter_context(open_exported(config)) for name, config in configs.items()
        }
        return time_in_turn(runs, _ROUNDS)


@contextlib.contextmanager
def open_exported(config: ModelConfig) -> Iterator[Callable[[], object]]:
    """Exports a network with random weights for one image of its input size.

    Args:
      config: The network.

    Yields:
      A function that runs it in OpenVINO.

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
