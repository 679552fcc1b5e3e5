"""Sessions of LiteRT, which was TensorFlow Lite."""

from __future__ import annotations

import importlib.util
import queue
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.errors import ArtefactError
from mattingjax.inference import screening
from mattingjax.inference.sessions.session import (
    METADATA_KEY,
    SessionOptions,
    Shape,
    as_artefact_error,
    check_device,
    check_ends,
    check_plain,
    loading,
)
from mattingjax.process.machine import count_cores
from mattingjax.process.packages import quiet_stderr


class LiteRtSession:
    """Runs a LiteRT model with XNNPACK's kernels, which LiteRT takes by itself on CPUs.

    Args:
      source: The `.tflite` file, or its content; it takes inputs of one size.
      options: Which device, and how many threads call it. It is screened even if it is trusted:
        that takes milliseconds.

    Raises:
      ArtefactError: It is damaged, or `mattingjax.inference.screening` refuses it.
      MattingError: Another device or precision is asked for.
      ImportError: LiteRT is not installed.
    """

    def __init__(self, source: Path | str | bytes, options: SessionOptions | None = None):
        from ai_edge_litert.interpreter import Interpreter

        asked = options or SessionOptions()
        self.device = check_device('LiteRT', asked.device, list_litert_devices())
        check_plain('LiteRT', asked)
        self._path = path = 'a LiteRT model' if isinstance(source, bytes) else source
        model = screening.read_lite_model(source)
        check_ends(path, len(model.inputs), len(model.outputs))
        tensor = model.tensors[model.inputs[0]]
        self.input_name, self.input_dtype = tensor.name, np.dtype(tensor.dtype)
        self.input_shape: Shape = tensor.shape
        self.metadata = _read_metadata(path, model.metadata)
        self._guard = screening.InputGuard(
            path,
            self.input_shape,
            lambda _: screening.list_lite_steps(model),
            str(model.inputs[0]),
        )
        self.parallel = asked.parallel
        threads = max(1, (asked.threads or count_cores()) // self.parallel)
        # An interpreter runs one input; each of the threads that call it takes one.
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with loading(path, 'LiteRT'), quiet_stderr():  # its C++ code prints remarks
            for _ in range(self.parallel):
                interpreter = Interpreter(model_content=model.content, num_threads=threads)
                interpreter.allocate_tensors()
                self._idle.put(interpreter)
        self._ends = model.inputs[0], model.outputs[0]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self._guard.check(images.shape)
        source, target = self._ends
        interpreter = self._idle.get()
        try:
            with as_artefact_error(self._path, 'LiteRT cannot run it'):
                interpreter.set_tensor(source, images)
                interpreter.invoke()
                return interpreter.get_tensor(target)
        finally:
            self._idle.put(interpreter)


def _read_metadata(path: Path | str, metadata: dict[str, np.ndarray]) -> str | None:
    content = metadata.get(METADATA_KEY)
    try:
        # LiteRT's own writers fill entries with zeros up to a round length.
        return None if content is None else content.tobytes().rstrip(b'\0').decode()
    except UnicodeDecodeError as error:
        raise ArtefactError(f'{path}: its metadata: expected UTF-8') from error


def list_litert_devices() -> list[str]:
    """What LiteRT runs a network on here: the CPU.

    Raises:
      ImportError: LiteRT is not installed.
    """
    if importlib.util.find_spec('ai_edge_litert') is None:
        raise ModuleNotFoundError('no LiteRT', name='ai_edge_litert')
    return ['CPU']
