"""Sessions of TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.inference import screening
from mattingjax.inference.sessions.session import (
    SessionOptions,
    as_artefact_error,
    check_device,
    check_ends,
    check_plain,
    loading,
)
from mattingjax.process.packages import import_tensorflow, quiet_stderr


class TensorFlowSession:
    """Runs a frozen graph with TensorFlow.

    Args:
      path: The `.pb` file, with one placeholder and one node that no other reads.
      options: Which device; TensorFlow has the CPU here.

    Raises:
      ArtefactError: It is damaged, or `mattingjax.inference.screening` refuses it.
      MattingError: Another device or precision is asked for.
    """

    parallel = 1

    def __init__(self, path: Path | str, options: SessionOptions | None = None):
        asked = options or SessionOptions()
        self.device = check_device('TensorFlow', asked.device, ['CPU'])
        check_plain('TensorFlow', asked)
        self._path = Path(path)
        screening.check_frozen_graph(self._path)
        tf = import_tensorflow()
        graph = tf.compat.v1.GraphDef()
        with loading(path, 'TensorFlow'):
            graph.ParseFromString(self._path.read_bytes())
            if not graph.node:
                raise ValueError('no nodes in it')
            inputs, outputs = find_ends(graph)
            check_ends(path, len(inputs), len(outputs))
            with quiet_stderr():  # its C++ code prints errors before it raises them
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
        with as_artefact_error(self._path, 'TensorFlow cannot run it'):
            return self._function(tf.constant(images)).numpy()


def find_ends(graph: Any) -> tuple[list[str], list[str]]:
    """Names of the placeholders of a `GraphDef`, and of the nodes that no other node reads."""
    read = {screening.node_of(name) for node in graph.node for name in node.input}
    inputs = [node.name for node in graph.node if node.op == 'Placeholder']
    return inputs, [node.name for node in graph.node if node.name not in read]
