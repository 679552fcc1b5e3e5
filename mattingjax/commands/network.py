"""The flags of commands that matte: which network, and what runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    def load(self, parallel: int = 1) -> Predictor:
        """Loads the network that the flags name.

        Args:
          parallel: How many photos it computes at once.
        """
        from mattingjax.inference import create_predictor

        return create_predictor(
            self._checkpoint.value,
            self._runtime.value,
            input_size=self._input_size.value,
            device=self._device.value,
            precision=self._precision.value,
            openvino_cache=self._openvino_cache.value,
            parallel=parallel,
        )

    def describe(self, predictor: Predictor) -> str:
        """What made the mattes: 'by modnet_p with onnxruntime on CPU'."""
        return f'by {self._checkpoint.value} with {predictor.describe_runtime()}'
