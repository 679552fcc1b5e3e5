"""Exported networks as functions of arrays, whatever runtime runs them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mattingjax.errors import ArtefactError, missing_package
from mattingjax.inference import screening
from mattingjax.inference.sessions.litert_session import LiteRtSession, list_litert_devices
from mattingjax.inference.sessions.onnx_session import OnnxSession, list_onnx_devices
from mattingjax.inference.sessions.openvino_session import (
    PRECISIONS,
    OpenVinoSession,
    can_compute,
    list_openvino_devices,
)
from mattingjax.inference.sessions.session import METADATA_KEY, Session, SessionOptions, Shape
from mattingjax.inference.sessions.tensorflow_session import TensorFlowSession, find_ends
from mattingjax.process.reading import explain_absence
from mattingjax.weights import check_whole

__all__ = [
    'METADATA_KEY',
    'PRECISIONS',
    'READERS',
    'SESSIONS',
    'LiteRtSession',
    'OnnxSession',
    'OpenVinoSession',
    'Session',
    'SessionOptions',
    'Shape',
    'TensorFlowSession',
    'can_compute',
    'check_artefact',
    'create_session',
    'find_ends',
    'list_devices',
]

SESSIONS: dict[str, type] = {
    'openvino': OpenVinoSession,
    'onnxruntime': OnnxSession,
    'tensorflow': TensorFlowSession,
    'litert': LiteRtSession,
}
# The extra that installs a package.
_EXTRAS = {
    'openvino': 'openvino',
    'onnx': 'importers',
    'tensorflow': 'export',
    'ai_edge_litert': 'litert',
}
# The runtimes that read each kind of file; the first is the default.
READERS = {
    '.xml': ('openvino',),
    '.onnx': ('onnxruntime', 'openvino'),
    '.pb': ('tensorflow', 'openvino'),
    '.tflite': ('litert',),
}


def create_session(
    path: Path | str,
    runtime: str | None = None,
    options: SessionOptions | None = None,
) -> Session:
    """Loads an artefact.

    Args:
      path: A `.xml` (OpenVINO IR, its `.bin` beside it), `.onnx`, `.pb` or `.tflite` file.
      runtime: 'openvino', 'onnxruntime', 'tensorflow' or 'litert'; the default for the kind of
        file if None.
      options: The device, the precision, the shape, and whether the file is trusted.

    Raises:
      MattingError: The runtime has no such device here, or it has no such precision.
      ArtefactError: There is no such file, it is damaged, or another than the manifest beside it
        says, it holds what no matting network needs
        (`mattingjax.inference.screening` says what), or that runtime does not read its kind.
      ImportError: The runtime is not installed.
    """
    path = Path(path)
    check_artefact(path, trusted=options is not None and options.trusted)
    runtime = READERS[path.suffix][0] if runtime is None else runtime
    if runtime not in READERS[path.suffix]:
        raise ArtefactError(
            f'{path}: expected the runtime {" or ".join(READERS[path.suffix])}, got {runtime!r}'
        )
    try:
        return SESSIONS[runtime](path, options)
    except ModuleNotFoundError as error:
        package = str(error.name).split('.')[0]
        raise missing_package(
            f'{path}: running it', package, _EXTRAS.get(package, 'export')
        ) from error


def list_devices() -> dict[str, list[str]]:
    """The runtimes that are installed, and what each can run a network on here.

    Returns:
      'onnxruntime', 'openvino' and 'litert' where they are installed → the names that
      `SessionOptions.device` takes.
    """
    devices = {}
    for runtime, list_them in (
        ('onnxruntime', list_onnx_devices),
        ('openvino', list_openvino_devices),
        ('litert', list_litert_devices),
    ):
        with contextlib.suppress(ImportError):
            devices[runtime] = list_them()
    return devices


def check_artefact(path: Path, *, trusted: bool = False) -> None:
    """Looks at an artefact before anything reads it.

    Args:
      path: The artefact.
      trusted: Whether its hash is known already.

    Raises:
      ArtefactError: There is no such file, it is of no kind that a runtime reads, too large, or not
        what the manifest beside it says.
    """
    if path.suffix not in READERS:
        raise ArtefactError(f'{path}: expected an artefact ({", ".join(READERS)})')
    if not os.path.isfile(path):  # pathlib's own raises for names that are too long
        raise ArtefactError(f'{path}: {explain_absence(path)}')
    if trusted:
        return
    for file in (path, *([path.with_suffix('.bin')] if path.suffix == '.xml' else [])):
        if file.is_file():
            screening.check_file_size(file)
    check_whole(path)
