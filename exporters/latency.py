"""How fast a network runs in OpenVINO on this machine, whatever its weights."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from exporters.export import export_checkpoint
from exporters.options import ExportOptions
from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.models import ModelConfig, init_variables
from mattingjax.sessions import OpenVinoSession
from mattingjax.timing import time_in_turn


def measure_latency(config: ModelConfig, repeats: int = 30) -> float:
    """Times a network; see `open_exported`.

    Args:
      config: The network.
      repeats: Runs whose median counts.

    Returns:
      Milliseconds for one image of the network's input size.

    Raises:
      ImportError: The extra `export` is not installed.
      MattingError: The export fails.
    """
    with open_exported(config) as run:
        return time_in_turn({'network': run}, repeats)['network'] * 1e3


@contextlib.contextmanager
def open_exported(config: ModelConfig) -> Iterator[Callable[[], object]]:
    """Exports a network with random weights; yields what runs it in OpenVINO on one image.

    Raises:
      ImportError: The extra `export` is not installed.
      MattingError: The export fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        dense, exported = Path(folder) / 'checkpoint', Path(folder) / 'export'
        save_checkpoint(dense, Checkpoint(config, init_variables(config, 0)))
        options = ExportOptions(formats=('openvino',), verify=False)
        export_checkpoint(dense, exported, options)
        session = OpenVinoSession(exported / 'model.xml')
        images = np.zeros((1, config.input_size, config.input_size, 3), np.float32)
        yield lambda: session(images)
