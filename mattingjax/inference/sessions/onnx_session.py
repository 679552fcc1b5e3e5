"""Sessions of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mattingjax.errors import ArtefactError
from mattingjax.inference.sessions.session import (
    METADATA_KEY,
    as_artefact_error,
    guard_onnx,
    loading,
)


class OnnxSession:
    """Runs an ONNX model with ONNX Runtime on the CPU.

    Args:
      path: The `.onnx` file.
    """

    def __init__(self, path: Path | str):
        import onnxruntime

        self._path = Path(path)
        self._guard = guard_onnx(self._path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # it logs its errors before it raises them
        # Spinning threads would take the cores from whatever else runs in the process.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        with loading(path, 'ONNX Runtime'):
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=['CPUExecutionProvider']
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
