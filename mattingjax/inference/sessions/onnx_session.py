"""Sessions of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mattingjax.errors import ArtefactError
from mattingjax.inference.sessions.session import (
    METADATA_KEY,
    SessionOptions,
    as_artefact_error,
    check_device,
    check_plain,
    guard_onnx,
    loading,
)
from mattingjax.process.machine import count_cores
from mattingjax.process.packages import import_onnxruntime

_SUFFIX = 'ExecutionProvider'


class OnnxSession:
    """Runs an ONNX model with ONNX Runtime.

    Args:
      path: The `.onnx` file.
      options: The device and whether the file is trusted.

    Raises:
      ArtefactError: It is damaged, `mattingjax.inference.screening` refuses it, or the device
        cannot be used.
      MattingError: ONNX Runtime has no such device here, or the precision is not that of the file.
    """

    def __init__(self, path: Path | str, options: SessionOptions | None = None):
        onnxruntime = import_onnxruntime()

        asked = options or SessionOptions()
        self.device = check_device('ONNX Runtime', asked.device, list_onnx_devices())
        check_plain('ONNX Runtime', asked)
        self._path = Path(path)
        self._guard = guard_onnx(self._path, trusted=asked.trusted)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4  # it logs its errors before it raises them
        # Spinning threads would take the cores from whatever else runs in the process.
        settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self.parallel = asked.parallel
        if self.parallel > 1 or asked.threads:  # the threads that call it compute too
            threads = asked.threads or count_cores()
            settings.intra_op_num_threads = max(1, threads - self.parallel + 1)
        provider = f'{self.device}{_SUFFIX}'
        with loading(path, 'ONNX Runtime'):
            self._session = onnxruntime.InferenceSession(str(path), settings, providers=[provider])
            # It turns to the CPU by itself where a provider's libraries cannot be loaded.
            if provider not in self._session.get_providers():
                raise ArtefactError(
                    f'device: ONNX Runtime cannot use {self.device} here: its libraries are missing'
                )
            inputs = self._session.get_inputs()
            properties = self._session.get_modelmeta().custom_metadata_map
        self.input_name = inputs[0].name
        self.input_shape = tuple(
            size if isinstance(size, int) else None for size in inputs[0].shape
        )
        names = {'tensor(float)': 'float32', 'tensor(uint8)': 'uint8', 'tensor(float16)': 'float16'}
        if inputs[0].type not in names:
            raise ArtefactError(
                f'{path}: expected an input of type {", ".join(names)}, found {inputs[0].type}'
            )
        self.input_dtype = np.dtype(names[inputs[0].type])
        self.metadata = properties.get(METADATA_KEY)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self._guard.check(images.shape)
        with as_artefact_error(self._path, 'ONNX Runtime cannot run it'):
            return self._session.run(None, {self.input_name: images})[0]


def list_onnx_devices() -> list[str]:
    """What ONNX Runtime can run a network on here: its providers, such as CPU, CUDA, CoreML.

    Raises:
      ImportError: ONNX Runtime is not installed.
    """
    onnxruntime = import_onnxruntime()

    names = [name.removesuffix(_SUFFIX) for name in onnxruntime.get_available_providers()]
    return [name for name in names if name != 'Azure']  # which calls servers, and computes nothing
