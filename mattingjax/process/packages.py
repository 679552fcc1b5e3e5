"""Imports runtimes: TensorFlow without its messages, others without their telemetry."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from mattingjax.errors import missing_package


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Within it, what C++ code writes to standard error is dropped."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def require_package(what: str, package: str, extra: str, otherwise: str = '') -> None:
    """Raises ImportError, as `missing_package` makes it, unless a package is installed.

    Args:
      what: What needs the package, such as a file or a setting.
      package: The name by which it is imported.
      extra: The extra that installs it.
      otherwise: What can be done instead, if anything.
    """
    if importlib.util.find_spec(package) is None:
        raise missing_package(what, package, extra, otherwise)


def import_openvino() -> ModuleType:
    """Imports the package openvino without its telemetry.

    On import it would report to its makers from a forked process, and forking can hang a program
    that runs JAX. It does not where the package `openvino_telemetry` cannot be imported.

    Raises:
      ImportError: It is not installed.
    """
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
    import openvino

    return openvino


def import_onnxruntime() -> ModuleType:
    """Imports the package onnxruntime without its telemetry.

    From 1.29 on it reports each session to its makers, keeps an identity in the home directory, and
    complains where that cannot be written.

    Raises:
      ImportError: It is not installed.
    """
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    import onnxruntime

    return onnxruntime


def import_tensorflow() -> ModuleType:
    """Imports the package tensorflow without its messages.

    Raises:
      ImportError: It is not installed.
    """
    # Dilated depthwise convolutions run on a CPU by oneDNN alone, which TensorFlow takes by itself
    # only on processors with AVX-512.
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
    with quiet_stderr():  # its C++ code prints remarks about devices and builds
        import tensorflow as tf

        tf.config.list_physical_devices('GPU')  # so that it complains about missing drivers now
    tf.get_logger().setLevel('ERROR')
    return tf


def import_nncf() -> ModuleType:
    """Imports the package nncf without its telemetry and its remarks.

    Raises:
      ImportError: It is not installed.
    """
    import_openvino()  # without `openvino_telemetry`, through which NNCF would report
    kind = logging.getLoggerClass()
    try:
        import nncf
    finally:
        logging.setLoggerClass(kind)  # NNCF puts its own in the place of everybody's
    logging.getLogger('nncf').setLevel(logging.ERROR)
    return nncf
