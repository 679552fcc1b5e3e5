"""How fast networks run on this machine, whatever their weights."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from exporters.options import ExportOptions
from exporters.pipeline import export_checkpoint
from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.errors import MattingError
from mattingjax.inference.sessions import SessionOptions, can_compute, create_session
from mattingjax.networks import ModelConfig, init_variables
from mattingjax.process.scratch import scratch_folder
from mattingjax.process.timing import list_times_in_turn, time_in_turn

_ROUNDS = 20
# What is exported for a runtime, and the file of it that it runs.
_EXPORTED = {
    'openvino': ('openvino', 'model.xml'),
    'onnxruntime': ('onnx', 'model.onnx'),
    'litert': ('litert', 'model.tflite'),
    'tensorflow': ('pb', 'model.pb'),
}


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


@dataclasses.dataclass(frozen=True)
class ExportTimer:
    """Times networks in a runtime, all of them in turn.

    Attributes:
      runtime: 'openvino', 'onnxruntime' or another that an export is made for.
      precision: What OpenVINO computes in: 'f32', 'bf16' or 'f16'.

    Raises:
      MattingError: There is no such runtime, or it has no such precision here.
    """

    runtime: str = 'openvino'
    precision: str = 'f32'

    def __post_init__(self) -> None:
        if self.runtime not in _EXPORTED:
            known = ', '.join(_EXPORTED)
            raise MattingError(f'runtime: expected one of {known}, got {self.runtime!r}')
        if self.runtime == 'openvino':
            if not can_compute(self.precision):
                raise MattingError(
                    f'precision: expected one that this CPU computes in, got {self.precision!r}'
                )
        elif self.precision != 'f32':
            raise MattingError(
                f'precision: {self.runtime} computes in f32 alone, got {self.precision!r}'
            )

    def __str__(self) -> str:
        return f'{self.runtime} in {self.precision}'

    def __call__(self, configs: Mapping[str, ModelConfig]) -> dict[str, list[float]]:
        """Times networks with random weights, in 20 rounds.

        Args:
          configs: Name → network, each for one image of its input size.

        Returns:
          Name of each network → the seconds of its runs.

        Raises:
          ImportError: The extra `export` is not installed.
          MattingError: The export fails.
        """
        with contextlib.ExitStack() as stack:
            runs = {
                name: stack.enter_context(open_exported(config, self.runtime, self.precision))
                for name, config in configs.items()
            }
            return list_times_in_turn(runs, _ROUNDS, warm=True)


@contextlib.contextmanager
def open_exported(
    config: ModelConfig, runtime: str = 'openvino', precision: str = 'f32'
) -> Iterator[Callable[[], object]]:
    """Exports a network with random weights for one image of its input size.

    Args:
      config: The network.
      runtime: What runs it.
      precision: What OpenVINO computes in.

    Yields:
      A function that runs it.

    Raises:
      ImportError: The extra `export` is not installed.
      MattingError: The export fails.
    """
    made, file = _EXPORTED[runtime]
    with scratch_folder() as folder:
        dense, exported = folder / 'checkpoint', folder / 'export'
        save_checkpoint(dense, Checkpoint(config, init_variables(config, 0)))
        options = ExportOptions(formats=(made,), verify=False)
        export_checkpoint(dense, exported, options)
        session = create_session(exported / file, runtime, SessionOptions(precision=precision))
        images = np.zeros((1, config.input_size, config.input_size, 3), np.float32)
        yield lambda: session(images)
