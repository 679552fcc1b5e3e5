"""Exported networks as functions of arrays: OpenVINO, ONNX Runtime, TensorFlow, one interface."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mattingjax.errors import ArtefactError, missing_package
from mattingjax.inference import screening
from mattingjax.process.packages import import_openvino, import_tensorflow, quiet_stderr

Shape = tuple[int | None, ...]  # None where any size goes


class Session(Protocol):
    """An artefact that is loaded, of one input and one output.

    Attributes:
      input_name: Name of the input.
      input_shape: Its shape, usually [N, H, W, 3]; None where any size goes.
      input_dtype: Its type.
      metadata: What it says of itself (see `inference.signature`), JSON; None if nothing.
    """

    input_name: str
    input_shape: Shape
    input_dtype: np.dtype
    metadata: str | None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Runs it on an array of the input's shape and type.

        Raises:
          ArtefactError: The runtime cannot, or it would take too much memory.
        """


METADATA_KEY = 'mattingjax'


def _load_openvino_model(path: Path | str) -> tuple[Any, screening.InputGuard]:
    """Reads a `.xml`, `.onnx` or `.pb` with OpenVINO, once it is known to be harmless.

    Returns:
      An `openvino.Model` of one input and one output, not compiled, and the guard of its memory.

    Raises:
      ArtefactError: It is damaged, or refused (see `mattingjax.inference.screening`).
    """
    path = Path(path)
    if path.suffix == '.onnx':
        guard = _guard_onnx(path)
    elif path.suffix == '.pb':
        screening.check_frozen_graph(path)
    else:
        screening.check_ir(path)
    with _loading(path, 'OpenVINO'):
        model = import_openvino().Core().read_model(str(path))
        _check_count(path, len(model.inputs), len(model.outputs))
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


def _guard_onnx(path: Path) -> screening.InputGuard:
    model = screening.read_onnx(path)
    inputs = screening.onnx_inputs(model)
    _check_count(path, len(inputs), len(model.graph.output))
    ((name, shape),) = inputs.items()
    return screening.InputGuard(
        path, shape, lambda shape: screening.list_onnx_steps(model, shape), name
    )


class OpenVinoSession:
    """Runs OpenVINO IR, ONNX or a frozen TensorFlow graph on the CPU, for latency.

    Args:
      source: The `.xml`, `.onnx` or `.pb`, or an `openvino.Model`, which is trusted.
      precision: OpenVINO's inference precision, 'f32' or 'bf16'.
      fix_shape: Input shape, None where any size goes → the one it is compiled for; as it is if
        None.
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
        with _loading(source, 'OpenVINO'):
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
        with _as_artefact_error(self._path, 'OpenVINO cannot run it'):
            return np.array(self._compiled(images)[0])


class OnnxSession:
    """Runs an ONNX model with ONNX Runtime on the CPU.

    Args:
      path: The `.onnx`.
      threads: How many; 0 lets ONNX Runtime choose.
    """

    def __init__(self, path: Path | str, threads: int = 0):
        import onnxruntime

        self._path = Path(path)
        self._guard = _guard_onnx(self._path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # its errors are raised too, and said here
        options.intra_op_num_threads = threads
        # Spinning threads would take the cores from whatever else runs in the process.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        with _loading(path, 'ONNX Runtime'):
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
        with _as_artefact_error(self._path, 'ONNX Runtime cannot run it'):
            return self._session.run(None, {self.input_name: images})[0]


class TensorFlowSession:
    """Runs a frozen graph with TensorFlow.

    Args:
      path: The `.pb`: one placeholder, and one node that no other reads.
    """

    def __init__(self, path: Path | str):
        self._path = Path(path)
        screening.check_frozen_graph(self._path)
        tf = import_tensorflow()
        graph = tf.compat.v1.GraphDef()
        with _loading(path, 'TensorFlow'):
            graph.ParseFromString(self._path.read_bytes())
            if not graph.node:
                raise ValueError('no nodes in it')
            inputs, outputs = find_ends(graph)
            _check_count(path, len(inputs), len(outputs))
            with quiet_stderr():  # its C++ code tells of what it then raises
                self._function = self._load(tf, graph, inputs[0], outputs[0])
            tensor = self._function.inputs[0]
            self.input_shape = tuple(tensor.shape)
        self.input_name = inputs[0]
        self.input_dtype = np.dtype(tensor.dtype.as_numpy_dtype)
        self.metadata = None
        self._guard = screening.InputGuard(
            path, self.input_shape, lambda shape: self._list_steps(graph, shape), tensor.name
        )

    @staticmethod
    def _load(tf: Any, graph: Any, input_name: str, output_name: str) -> Any:
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=''), []
        )
        return wrapped.prune(f'{input_name}:0', f'{output_name}:0')

    def _list_steps(self, graph: Any, shape: tuple[int, ...]) -> Iterator[screening.Step]:
        if None not in self.input_shape:
            return screening.list_tensorflow_steps(self._function.graph)
        import tensorflow as tf

        with tf.Graph().as_default() as fixed:
            source = tf.compat.v1.placeholder(self.input_dtype, shape, self.input_name)
            tf.graph_util.import_graph_def(graph, {f'{self.input_name}:0': source}, name='')
        return screening.list_tensorflow_steps(fixed)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        self._guard.check(images.shape)
        with _as_artefact_error(self._path, 'TensorFlow cannot run it'):
            return self._function(tf.constant(images)).numpy()


def find_ends(graph: Any) -> tuple[list[str], list[str]]:
    """The nodes of a `GraphDef` that are fed, and those that no other reads."""
    read = {screening.node_of(name) for node in graph.node for name in node.input}
    inputs = [node.name for node in graph.node if node.op == 'Placeholder']
    return inputs, [node.name for node in graph.node if node.name not in read]


SESSIONS: dict[str, type] = {
    'openvino': OpenVinoSession,
    'onnxruntime': OnnxSession,
    'tensorflow': TensorFlowSession,
}
# What reads a kind of file; the first is the usual one.
READERS = {
    '.xml': ('openvino',),
    '.onnx': ('onnxruntime', 'openvino'),
    '.pb': ('tensorflow', 'openvino'),
}


def create_session(path: Path | str, runtime: str | None = None) -> Session:
    """Loads an artefact.

    Args:
      path: A `.xml` (OpenVINO IR, its `.bin` beside it), `.onnx` or `.pb` file.
      runtime: 'openvino', 'onnxruntime' or 'tensorflow'; the usual one for the file if None.

    Raises:
      ArtefactError: There is no such file, it is damaged, holds what no matting network needs (see
        `mattingjax.inference.screening`), or that runtime does not read its kind.
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


def _check_count(path: Path | str, inputs: int, outputs: int) -> None:
    if (inputs, outputs) != (1, 1):
        raise ArtefactError(
            f'{path}: expected one input and one output, found {inputs} and {outputs}'
        )


@contextlib.contextmanager
def _loading(path: Any, runtime: str) -> Iterator[None]:
    with screening.limited_memory(), _as_artefact_error(path, f'{runtime} cannot read it'):
        yield


@contextlib.contextmanager
def _as_artefact_error(path: Any, problem: str) -> Iterator[None]:
    """Whatever a runtime raises, which has types of its own, as one line about the artefact."""
    try:
        yield
    except (ArtefactError, ImportError):
        raise
    except Exception as error:
        raise ArtefactError(f'{path}: {problem} ({_last_line(error)})') from error


def _last_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError) or 'bad_alloc' in text or 'bad allocation' in text:
        return 'it would need too much memory'
    if isinstance(error, UnicodeDecodeError):  # a message with bytes of a damaged file in it
        text = error.object.decode(errors='replace')
    lines = [' '.join(line.split()) for line in text.splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:200]
