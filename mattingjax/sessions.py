"""Exported networks as functions of arrays: OpenVINO, ONNX Runtime, TensorFlow, one interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mattingjax.errors import ArtefactError
from mattingjax.quiet import import_openvino, import_tensorflow


class Session(Protocol):
    """An artefact that is loaded, of one input and one output.

    Attributes:
      input_name: Name of the input.
      input_shape: Its shape, usually [N, H, W, 3]; None where any size goes.
      input_dtype: Its type.
      metadata: What it says of itself (see `mattingjax.signature`), JSON; None if nothing.
    """

    input_name: str
    input_shape: tuple[int | None, ...]
    input_dtype: np.dtype
    metadata: str | None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Runs it on an array of the input's shape and type."""


METADATA_KEY = 'mattingjax'


class OpenVinoSession:
    """Runs OpenVINO IR, ONNX or a frozen TensorFlow graph on the CPU, for latency.

    Args:
      path: The `.xml`, `.onnx` or `.pb`, or an `openvino.Model`.
      precision: OpenVINO's inference precision, 'f32' or 'bf16'.
    """

    def __init__(self, path: Any, precision: str = 'f32'):
        ov = import_openvino()
        core = ov.Core()
        try:
            model = path if isinstance(path, ov.Model) else core.read_model(str(path))
            _check_count(path, len(model.inputs), len(model.outputs))
            self._compiled = core.compile_model(
                model,
                'CPU',
                {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': precision},
            )
        except RuntimeError as error:
            raise ArtefactError(f'{path}: OpenVINO cannot read it ({_last_line(error)})') from error
        port = model.inputs[0]
        self.input_name = port.get_any_name()
        self.input_shape = tuple(
            dimension.get_length() if dimension.is_static else None
            for dimension in port.partial_shape
        )
        self.input_dtype = np.dtype(port.element_type.to_dtype())
        self.metadata = None
        for place in ([METADATA_KEY], ['framework', METADATA_KEY]):  # of IR, and of ONNX
            if model.has_rt_info(place):
                self.metadata = model.get_rt_info(place).astype(str)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.array(self._compiled(images)[0])


class OnnxSession:
    """Runs an ONNX model with ONNX Runtime on the CPU.

    Args:
      path: The `.onnx`.
      threads: How many; 0 lets ONNX Runtime choose.
    """

    def __init__(self, path: Path | str, threads: int = 0):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        # Spinning threads would take the cores from whatever else runs in the process.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # ONNX Runtime's own types
            raise ArtefactError(
                f'{path}: ONNX Runtime cannot read it ({_last_line(error)})'
            ) from error
        inputs = self._session.get_inputs()
        _check_count(path, len(inputs), len(self._session.get_outputs()))
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
        properties = self._session.get_modelmeta().custom_metadata_map
        self.metadata = properties.get(METADATA_KEY)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self.input_name: images})[0]


class TensorFlowSession:
    """Runs a frozen graph with TensorFlow.

    Args:
      path: The `.pb`: one placeholder, and one node that no other reads.
    """

    def __init__(self, path: Path | str):
        tf = import_tensorflow()
        graph = tf.compat.v1.GraphDef()
        try:
            graph.ParseFromString(Path(path).read_bytes())
            if not graph.node:
                raise ValueError('no nodes in it')
            inputs = [node for node in graph.node if node.op == 'Placeholder']
            read = {name.split(':')[0].lstrip('^') for node in graph.node for name in node.input}
            outputs = [node.name for node in graph.node if node.name not in read]
            _check_count(path, len(inputs), len(outputs))
            self._function = self._load(tf, graph, inputs[0].name, outputs[0])
        except ArtefactError:
            raise
        except Exception as error:  # protobuf's and TensorFlow's own types
            raise ArtefactError(
                f'{path}: TensorFlow cannot read it ({_last_line(error)})'
            ) from error
        self.input_name = inputs[0].name
        tensor = self._function.inputs[0]
        self.input_shape = tuple(tensor.shape)
        self.input_dtype = np.dtype(tensor.dtype.as_numpy_dtype)
        self.metadata = None

    @staticmethod
    def _load(tf: Any, graph: Any, input_name: str, output_name: str) -> Any:
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=''), []
        )
        return wrapped.prune(f'{input_name}:0', f'{output_name}:0')

    def __call__(self, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        return self._function(tf.constant(images)).numpy()


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
      ArtefactError: There is no such file, it is damaged, or that runtime does not read its kind.
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
        raise ImportError(
            f'{path}: running it with {runtime} needs the package {error.name}: '
            f'pip install {error.name}'
        ) from error


def check_artefact(path: Path) -> None:
    """Raises ArtefactError unless there is such a file, of a kind that a runtime reads."""
    if path.suffix not in READERS:
        raise ArtefactError(f'{path}: expected an artefact ({", ".join(READERS)})')
    if not path.is_file():
        raise ArtefactError(f'{path}: no such file')


def _check_count(path: Path | str, inputs: int, outputs: int) -> None:
    if (inputs, outputs) != (1, 1):
        raise ArtefactError(
            f'{path}: expected one input and one output, found {inputs} and {outputs}'
        )


def _last_line(error: Exception) -> str:
    lines = [' '.join(line.split()) for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:200]
