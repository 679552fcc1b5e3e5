"""From a frozen graph to a LiteRT model (once TensorFlow Lite), weights in float32 or float16."""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from exporters.precision.within_tolerance import share_of_largest
from mattingjax.inference.screening import read_lite_model
from mattingjax.inference.sessions import METADATA_KEY
from mattingjax.process.packages import import_tensorflow, quiet_stderr

CONVOLUTIONS = ('CONV_2D', 'DEPTHWISE_CONV_2D')
_ALIGNMENT = 16  # bytes, of weights; the schema asks for it


def convert_graph(graph: Any, input_name: str, output_name: str) -> bytes:
    """Converts a frozen graph to a LiteRT model, float32, of built-in operations alone.

    Args:
      graph: A `tf.compat.v1.GraphDef`, as `freezing.create_frozen_graph` returns it.
      input_name: Name of its placeholder.
      output_name: Name of its last node.

    Returns:
      The content of a `.tflite` file.

    Raises:
      ArtefactError: It has an operation that `mattingjax.inference.screening` would refuse to load.
    """
    content = _convert(create_converter(graph, input_name, output_name))
    list_ops(content)  # raises for what no session takes
    return content


def create_converter(graph: Any, input_name: str, output_name: str) -> Any:
    """A `tf.lite.TFLiteConverter` of a frozen graph; arguments as for `convert_graph`."""
    tf = import_tensorflow()
    with quiet_converter():
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=''), []
        )
        function = wrapped.prune(f'{input_name}:0', f'{output_name}:0')
        # Without the object that it belongs to: so the names of its ends are kept.
        return tf.lite.TFLiteConverter.from_concrete_functions([function])


def _convert(converter: Any) -> bytes:
    with quiet_converter():
        return converter.convert()


@contextmanager
def quiet_converter() -> Iterator[None]:
    """Drops what the converter remarks, in C++ and in Python."""
    log = logging.getLogger('absl')
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        log.setLevel(level)


def list_ops(content: bytes) -> dict[str, int]:
    """How often each operation occurs in a LiteRT model.

    Raises:
      ArtefactError: It has one that is not built in, or that no matting network needs.
    """
    return dict(
        sorted(
            Counter(
                operation.kind.name for operation in read_lite_model(content).operations
            ).items()
        )
    )


def count_delegated(content: bytes) -> int:
    """How many operations of a LiteRT model XNNPACK runs; LiteRT's own kernels run the others.

    Each part that is given to a delegate shows as one more operation, `DELEGATE`, behind those of
    the model: what it makes is followed back to what it reads.
    """
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    operations = interpreter._get_ops_details()
    parts = [operation for operation in operations if operation['op_name'] == 'DELEGATE']
    makers = {
        int(output): operation
        for operation in operations
        if operation['op_name'] != 'DELEGATE'
        for output in operation['outputs']
    }
    found: set[int] = set()
    for part in parts:
        given, waiting = {int(i) for i in part['inputs']}, [int(i) for i in part['outputs']]
        while waiting:
            tensor = waiting.pop()
            operation = makers.get(tensor)
            if operation is None or tensor in given or operation['index'] in found:
                continue
            found.add(operation['index'])
            waiting += [int(i) for i in operation['inputs']]
    return len(found)


def add_metadata(content: bytes, text: str) -> bytes:
    """Adds to a LiteRT model what a session reads as its metadata, and a signature.

    The signature, `serving_default` as of TensorFlow's saved models, is how programs on phones name
    the input and the output.

    Args:
      content: The content of a `.tflite` file.
      text: JSON with the signature of the export; it takes the place of an earlier one.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = _unpack(content)
    key = METADATA_KEY.encode()
    model.metadata = [entry for entry in model.metadata or [] if entry.name != key]
    model.metadata.append(schema.MetadataT(name=key, buffer=len(model.buffers)))
    model.buffers.append(schema.BufferT(data=np.frombuffer(text.encode(), np.uint8)))
    (graph,) = model.subgraphs
    inputs, outputs = (
        [schema.TensorMapT(name=graph.tensors[i].name, tensorIndex=i) for i in numbers]
        for numbers in (graph.inputs, graph.outputs)
    )
    model.signatureDefs = [
        schema.SignatureDefT(inputs=inputs, outputs=outputs, signatureKey=b'serving_default')
    ]
    return _pack(model)


def set_ranges(content: bytes, ranges: dict[int, tuple[float, float]]) -> bytes:
    """Says of a calibrated LiteRT model's tensors what values they have.

    Args:
      content: The content of a `.tflite` file; tensors without a range in it get none.
      ranges: Number of a tensor → its smallest and its largest value.
    """
    model = _unpack(content)
    (graph,) = model.subgraphs
    for number, (low, high) in ranges.items():
        known = graph.tensors[number].quantization
        if known is not None and known.min is not None:
            known.min, known.max = [low], [high]
    return _pack(model)


def copy_float_weights(content: bytes, exact: bytes) -> bytes:
    """Gives convolutions that compute in float32 the weights that they have in another model.

    Args:
      content: The content of a `.tflite` file.
      exact: That of a float32 model of the same network; convolutions are found by the names of
        what they make.
    """
    source = read_lite_model(exact)
    weights = {
        source.tensors[operation.output].name: source.tensors[operation.inputs[1]].data
        for operation in source.operations
        if operation.kind.name in CONVOLUTIONS
    }
    model, target = _unpack(content), read_lite_model(content)
    (graph,) = model.subgraphs
    for operation in target.operations:
        number = operation.inputs[1] if operation.kind.name in CONVOLUTIONS else None
        if number is None or target.tensors[number].dtype != 'float32':
            continue
        data = weights[target.tensors[operation.output].name]
        assert data is not None, 'convert_graph makes weights constants'
        model.buffers[graph.tensors[number].buffer].data = data.view(np.uint8)
    return _pack(model)


def compress_largest(content: bytes, count: int) -> tuple[bytes, float]:
    """Stores the largest constants in half precision.

    Args:
      content: The content of a `.tflite` file, float32.
      count: How many constants; at most `count_constants(content)`.

    Returns:
      A copy that converts the constants back to float32 where they are read, and the share of the
      weights that it stores in half precision, in [0, 1].
    """
    from ai_edge_litert import schema_py_generated as schema

    model = _unpack(content)
    (graph,) = model.subgraphs
    constants = _constants(content)
    opcode = schema.OperatorCodeT(
        deprecatedBuiltinCode=schema.BuiltinOperator.DEQUANTIZE,
        builtinCode=schema.BuiltinOperator.DEQUANTIZE,
        version=3,  # the first that takes float16
    )
    model.operatorCodes.append(opcode)
    restored: dict[int, int] = {}
    for number, values in constants[:count]:
        tensor = graph.tensors[number]
        single = copy.copy(tensor)
        single.buffer, single.name = 0, tensor.name + b'/float32'
        tensor.type, tensor.buffer = schema.TensorType.FLOAT16, len(model.buffers)
        model.buffers.append(schema.BufferT(data=values.astype('<f2').view(np.uint8)))
        restored[number] = len(graph.tensors)
        graph.tensors.append(single)
    for operator in graph.operators:
        operator.inputs = [restored.get(i, i) for i in operator.inputs]
    graph.operators[:0] = [
        schema.OperatorT(opcodeIndex=len(model.operatorCodes) - 1, inputs=[half], outputs=[single])
        for half, single in restored.items()
    ]
    sizes = [values.size for _, values in constants]
    return _pack(_without_unread_buffers(model)), share_of_largest(sizes, count)


def count_constants(content: bytes) -> int:
    """How many constants `compress_largest` can compress."""
    return len(_constants(content))


def _constants(content: bytes) -> list[tuple[int, np.ndarray]]:
    """The numbers and values of the float32 constants, the largest first."""
    constants = [
        (i, tensor.data)
        for i, tensor in enumerate(read_lite_model(content).tensors)
        if tensor.dtype == 'float32' and tensor.data is not None and tensor.data.size > 1
    ]
    return sorted(constants, key=lambda constant: -constant[1].size)


def _without_unread_buffers(model: Any) -> Any:
    """Empties the buffers that no tensor and no metadata hold; their numbers stay."""
    read = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    read.update(entry.buffer for entry in model.metadata or [])
    for i, buffer in enumerate(model.buffers):
        if i not in read:
            buffer.data = None
    return model


def _unpack(content: bytes) -> Any:
    """A model as objects of the schema, which can be changed."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def _pack(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    for buffer in model.buffers:
        buffer.Pack = _aligned(buffer)
    builder.Finish(model.Pack(builder), b'TFL3')
    return bytes(builder.Output())


def _aligned(buffer: Any) -> Callable[[Any], int]:
    """A function that writes a buffer as the schema asks, which its own does not: aligned."""
    from ai_edge_litert import schema_py_generated as schema

    def pack(builder: Any) -> int:
        data = None if buffer.data is None else bytes(np.asarray(buffer.data, np.uint8))
        vector = None
        if data:
            builder.StartVector(1, len(data), _ALIGNMENT)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)

    return pack
