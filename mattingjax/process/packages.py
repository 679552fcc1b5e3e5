"""TensorFlow without its greetings, OpenVINO without its telemetry."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drops what C++ code writes to standard error."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def import_openvino() -> ModuleType:
    """The package openvino, without its telemetry.

    On import it would report to its makers from a forked process, and forking can hang a program
    that runs JAX. Without the package `openvino_telemetry` it does not.

    Raises:
      ImportError: It is not installed.
    """
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
    import openvino

    return openvino


def import_tensorflow() -> ModuleType:
    """The package tensorflow, imported without a word.

    Raises:
      ImportError: It is not installed.
    """
    with quiet_stderr():  # its C++ code tells of devices and builds
        import tensorflow as tf

        tf.config.list_physical_devices('GPU')  # looks for drivers, and complains, now
    tf.get_logger().setLevel('ERROR')
    return tf
