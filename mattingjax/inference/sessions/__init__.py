"""Exported networks as functions of arrays: OpenVINO, ONNX Runtime, TensorFlow, one interface."""

from __future__ import annotations

import os
from pathlib import Path

from mattingjax.errors import ArtefactError, missing_package
from mattingjax.inference.sessions.onnx_session import OnnxSession
from mattingjax.inference.sessions.openvino_session import OpenVinoSession
from mattingjax.inference.sessions.session import METADATA_KEY, Session, Shape
from mattingjax.inference.sessions.tensorflow_session import TensorFlowSession, find_ends

__all__ = [
    'METADATA_KEY',
    'READERS',
    'SESSIONS',
    'OnnxSession',
    'OpenVinoSession',
    'Session',
    'Shape',
    'TensorFlowSession',
    'check_artefact',
    'create_session',
    'find_ends',
]

SESSIONS: dict[str, type] = {
    'openvino': OpenVinoSession,
    'onnxruntime': OnnxSession,
    'tensorflow': TensorFlowSession,
}
# The runtimes that read each kind of file; the first is the default.
READERS = {
    '.xml': ('openvino',),
    '.onnx': ('onnxruntime', 'openvino'),
    '.pb': ('tensorflow', 'openvino'),
}


def create_session(path: Path | str, runtime: str | None = None) -> Session:
    """Loads an artefact.

    Args:
      path: A `.xml` (OpenVINO IR, its `.bin` beside it), `.onnx` or `.pb` file.
      runtime: 'openvino', 'onnxruntime' or 'tensorflow'; the default for the kind of file if None.

    Raises:
      ArtefactError: There is no such file, it is damaged, it holds what no matting network needs
        (`mattingjax.inference.screening` says what), or that runtime does not read its kind.
      ImportError: The runtime is not installed.
    """
    path = Path(path)
    check_artefact(path)
    runtime = READERS[path.suffix][0] if runtime is None else runtime
    if runtime not in READERS[path.suffix]:
        raise ArtefactError(
            f'{path}: expected the runtime {" or ".join(READERS[path.suffix])}, got {runtime!r}'
        )
    try:
        return SESSIONS[runtime](path)
    except ModuleNotFoundError as error:
        raise missing_package(f'{path}: running it', str(error.name), 'export') from error


def check_artefact(path: Path) -> None:
    """Raises ArtefactError unless there is such a file, of a kind that a runtime reads."""
    if path.suffix not in READERS:
        raise ArtefactError(f'{path}: expected an artefact ({", ".join(READERS)})')
    if not os.path.isfile(path):  # pathlib's own raises for names that are too long
        raise ArtefactError(f'{path}: no such file')
