"""The flags of commands that matte: which network, and what runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags

from mattingjax.process import command_line
from mattingjax.weights import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from mattingjax.inference import Predictor

flags.disclaim_key_flags()  # flags defined here are listed in the --help of their callers


class Network:
    """Defines --checkpoint, --runtime, --device, --precision, --openvino_cache and --input_size."""

    def __init__(self) -> None:
        self._checkpoint = flags.DEFINE_string(
            'checkpoint',
            DEFAULT_WEIGHTS,
            'Checkpoint directory, the name of weights that ship, or an artefact (.xml, .onnx, '
            '.pb, .tflite).',
        )
        self._runtime = command_line.define_runtime()
        self._device = flags.DEFINE_string(
            'device',
            None,
            'What the runtime computes on: CPU, GPU, NPU or AUTO for openvino, a provider such as '
            'CUDA for onnxruntime; mattingjax list says which are here. Default: the CPU.',
        )
        self._precision = command_line.define_precision()
        self._openvino_cache = flags.DEFINE_string(
            'openvino_cache',
            None,
            'Folder in which openvino keeps what it compiles for the next start.',
        )
        self._input_size = command_line.define_input_size()

    @property
    def name(self) -> str:
        """The network that the flags name."""
        return self._checkpoint.value

    def load(self, parallel: int = 1, name: str | None = None) -> Predictor:
        """Loads the network that the flags name.

        Args:
          parallel: How many photos it computes at once.
          name: Another network, for which the other flags hold.
        """
        from mattingjax.inference import create_predictor

        settings = self.settings() | ({} if name is None else {'path_or_name': name})
        return create_predictor(**settings, parallel=parallel)

    def settings(self) -> dict[str, Any]:
        """What the flags say to `create_predictor`, by the names of its arguments."""
        return {
            'path_or_name': self.name,
            'runtime': self._runtime.value,
            'input_size': self._input_size.value,
            'device': self._device.value,
            'precision': self._precision.value,
            'openvino_cache': self._openvino_cache.value,
        }

    def describe(self, predictor: Predictor) -> str:
        """What made the mattes: 'by modnet_p with onnxruntime on CPU'."""
        return f'by {self.name} with {predictor.describe_runtime()}'

    def flags(self) -> list[str]:
        """The flags other than --checkpoint as another command takes them."""
        rest = (
            self._runtime,
            self._device,
            self._precision,
            self._openvino_cache,
            self._input_size,
        )
        return [f'--{flag.name}={flag.value}' for flag in rest if flag.value is not None]
