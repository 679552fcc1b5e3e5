"""Sessions of OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.inference import screening
from mattingjax.inference.sessions.session import (
    METADATA_KEY,
    Shape,
    as_artefact_error,
    check_ends,
    guard_onnx,
    loading,
)
from mattingjax.process.packages import import_openvino


class OpenVinoSession:
    """Runs OpenVINO IR, ONNX or a frozen TensorFlow graph on the CPU, for latency.

    Args:
      source: The `.xml`, `.onnx` or `.pb` file, or an `openvino.Model`, which is trusted.
      precision: OpenVINO's inference precision, 'f32' or 'bf16'.
      fix_shape: Function from the input's shape, with None for sides that may have any size, to
        the shape that the network is compiled for; if None, it is compiled as it is.
    """

    def __init__(
        self,
        source: Any,
        precision: str = 'f32',
        fix_shape: Callable[[Shape], tuple[int, ...]] | None = None,
    ):
        ov = import_openvino()
        self._path, self._guard = source, None
        model = source
        if not isinstance(source, ov.Model):
            model, self._guard = _load_openvino_model(source)
            if fix_shape is not None:
                shape = fix_shape(_openvino_shape(model))
                self._guard.check(shape)
        with loading(source, 'OpenVINO'):
            if fix_shape is not None:
                model.reshape(list(shape))
            self._compiled = ov.Core().compile_model(
                model,
                'CPU',
                {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': precision},
            )
            port = model.inputs[0]
            self.input_name = port.get_any_name()
            self.input_shape = _openvino_shape(model)
            self.input_dtype = np.dtype(port.element_type.to_dtype())
            self.metadata = None
            for place in ([METADATA_KEY], ['framework', METADATA_KEY]):  # of IR, and of ONNX
                if model.has_rt_info(place):
                    self.metadata = model.get_rt_info(place).astype(str)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if self._guard is not None:
            self._guard.check(images.shape)
        with as_artefact_error(self._path, 'OpenVINO cannot run it'):
            return np.array(self._compiled(images)[0])


def _load_openvino_model(path: Path | str) -> tuple[Any, screening.InputGuard]:
    """Reads a `.xml`, `.onnx` or `.pb` with OpenVINO, once it is known to be harmless.

    Returns:
      An `openvino.Model` of one input and one output, not compiled, and the guard of its memory.

    Raises:
      ArtefactError: It is damaged, or `mattingjax.inference.screening` refuses it.
    """
    path = Path(path)
    if path.suffix == '.onnx':
        guard = guard_onnx(path)
    elif path.suffix == '.pb':
        screening.check_frozen_graph(path)
    else:
        screening.check_ir(path)
    with loading(path, 'OpenVINO'):
        model = import_openvino().Core().read_model(str(path))
        check_ends(path, len(model.inputs), len(model.outputs))
        if path.suffix != '.onnx':
            guard = screening.InputGuard(
                path,
                _openvino_shape(model),
                lambda shape: screening.list_openvino_steps(model, shape),
                screening.openvino_source(model),
            )
    return model, guard


def _openvino_shape(model: Any) -> Shape:
    return tuple(
        side.get_length() if side.is_static else None for side in model.inputs[0].partial_shape
    )
