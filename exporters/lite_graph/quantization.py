"""LiteRT models that compute in int8, but for the operations that would cost them their mattes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from exporters.artefacts import group_by_kind
from exporters.lite_graph.conversion import (
    CONVOLUTIONS,
    copy_float_weights,
    create_converter,
    quiet_converter,
    set_ranges,
)
from exporters.precision.calibration import check_count
from exporters.precision.rounding import round_weights
from mattingjax.inference.screening import read_lite_model
from mattingjax.process.machine import count_cores

_BLOCK, _MOST_FLOAT = 3, 24  # convolutions; a network that needs more in float is not for int8
# Left in float32 in any network. Instance normalisation squares differences of what it has just
# read, of which eight bits leave too little; and the last operations before an alpha, which take
# differences of logits and their sigmoid: eight bits of these are steps in soft hair.
_FLOAT_KINDS = frozenset(
    (
        'AVERAGE_POOL_2D', 'LOGISTIC', 'MEAN', 'MUL', 'RSQRT', 'SLICE', 'SOFTMAX',
        'SQUARED_DIFFERENCE', 'SUB',
    )
)  # fmt: skip
# How the weights of TensorFlow's convolutions are turned so that what has one scale comes first.
_BY_OUTPUT = {'Conv2D': (3, 2, 0, 1), 'DepthwiseConv2dNative': (2, 3, 0, 1)}
_BETWEEN = ('QUANTIZE', 'DEQUANTIZE')


class Quantized(NamedTuple):
    """A LiteRT model in int8.

    Attributes:
      content: The content of the `.tflite` file, with input and output in float32.
      float_operations: The operations that compute in float32: kind → names of their outputs.
      kept: How many of the first convolutions are among them for the limit's sake.
    """

    content: bytes
    float_operations: dict[str, list[str]]
    kept: int


def quantize_graph(
    graph: Any,
    exact: bytes,
    calibration: Sequence[np.ndarray],
    measure: Callable[[bytes], float],
    limit: float,
) -> Quantized:
    """Converts a frozen graph to a LiteRT model in int8, of built-in operations alone.

    Weights have a scale for each channel, what is computed one for each tensor, from the means of
    the calibration's smallest and largest values. Operations that int8 does not suit stay in
    float32: those of instance normalisation, the last steps to an alpha, the convolutions of the
    photo and the first depthwise one; then, until the loss is within the limit, the first
    convolutions, three at a time, as many as a block of MobileNetV2 has: what they lose, all others
    read.

    Args:
      graph: A `tf.compat.v1.GraphDef`, as `freezing.create_frozen_graph` returns it.
      exact: What `conversion.convert_graph` makes of it.
      calibration: float32 [N, H, W, 3] as the graph takes them, `MAX_PHOTOS` at most,
        of as many kinds as the network will see.
      measure: Function of a `.tflite` file's content that gives its loss, such as by how much the
        errors of its mattes grow.
      limit: The largest loss allowed; the loss of the result may be larger all the same.

    Raises:
      MattingError: The calibration has no inputs, or too many.
    """
    check_count(calibration)
    whole = read_lite_model(exact)
    ends = (whole.tensors[number].name for number in (*whole.inputs, *whole.outputs))
    calibrated = _calibrate(create_converter(_round_weights(graph), *ends), calibration)
    convolutions = _names(calibrated, CONVOLUTIONS)
    for count in range(0, min(_MOST_FLOAT, len(convolutions)) + _BLOCK, _BLOCK):
        kept = convolutions[:count]
        content = copy_float_weights(_quantize(calibrated, kept), exact)
        if measure(content) <= limit:
            break
    return Quantized(content, list_float_operations(content), len(kept))


def list_float_operations(content: bytes) -> dict[str, list[str]]:
    """The operations of a LiteRT model that compute in float32: kind → names of their outputs."""
    model = read_lite_model(content)
    return group_by_kind(
        (operation.kind.name, model.tensors[operation.output].name.split(';')[0])
        for operation in model.operations
        if operation.kind.name not in _BETWEEN
        and model.tensors[operation.output].dtype == 'float32'
    )


def _round_weights(graph: Any) -> Any:
    """A copy of a frozen graph, its convolutions' weights rounded by `rounding.round_weights`."""
    import tensorflow as tf

    rounded = type(graph).FromString(graph.SerializeToString())
    constants = {node.name: node for node in rounded.node if node.op == 'Const'}
    for node in rounded.node:
        if node.op not in _BY_OUTPUT or node.input[1] not in constants:
            continue
        value = constants[node.input[1]].attr['value'].tensor
        kernel = tf.make_ndarray(value)  # [height, width, in, out or multiplier]
        order = _BY_OUTPUT[node.op]
        by_output = kernel.transpose(order)
        found = round_weights(by_output).transpose(np.argsort(order))
        value.CopyFrom(tf.make_tensor_proto(found))
    return rounded


def _calibrate(converter: Any, calibration: Sequence[np.ndarray]) -> bytes:
    """The float32 model with the range of each of its tensors.

    TensorFlow's own calibrator takes the ends over all inputs, so that one odd photo widens the
    steps of all others; and it reads tensors after operations in place have overwritten them.
    """
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([images] for images in calibration[:1])
    # As `tf.lite.experimental.QuantizationDebugger` does: it is calibrated once for all trials.
    converter._experimental_calibrate_only = True
    with quiet_converter():
        content = converter.convert()
    return set_ranges(content, _measure_ranges(content, calibration))


def _measure_ranges(
    content: bytes, calibration: Sequence[np.ndarray]
) -> dict[int, tuple[float, float]]:
    """Number of each computed tensor → the means of the inputs' smallest and largest values."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = read_lite_model(content)
    computed = [*model.inputs, *(operation.output for operation in model.operations)]
    with quiet_converter():
        interpreter = Interpreter(
            model_content=content,
            # XNNPACK keeps no tensor between its operations.
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
            num_threads=count_cores(),
        )
        interpreter.allocate_tensors()
    ends = []
    for images in calibration:
        interpreter.set_tensor(model.inputs[0], images)
        interpreter.invoke()
        values = (interpreter.tensor(number)() for number in computed)
        ends.append([(value.min(), value.max()) for value in values])
    means = np.mean(ends, axis=0).tolist()
    return {number: (low, high) for number, (low, high) in zip(computed, means, strict=True)}


def _names(content: bytes, kinds: Sequence[str]) -> list[str]:
    """The names of what the operations of some kinds make, in their order."""
    model = read_lite_model(content)
    return [
        model.tensors[operation.output].name
        for operation in model.operations
        if operation.kind.name in kinds
    ]


def _list_head(content: bytes) -> list[str]:
    """The names of what the convolutions of the photo make, and of all before them.

    A normalised photo has its zero between two of its levels: eight bits would move each pixel by
    half of one.
    """
    model = read_lite_model(content)
    photo = set(model.inputs)
    names = []
    for operation in model.operations:
        if operation.kind.name == 'CONCATENATION' or not photo.intersection(operation.inputs):
            continue
        names.append(model.tensors[operation.output].name)
        if operation.kind.name not in CONVOLUTIONS:
            photo.add(operation.output)
    return names


def _list_tail(content: bytes) -> list[str]:
    """The names of what comes after the last convolution."""
    model = read_lite_model(content)
    names: list[str] = []
    for operation in reversed(model.operations):
        if operation.kind.name in CONVOLUTIONS:
            break
        names.append(model.tensors[operation.output].name)
    return names


def _quantize(calibrated: bytes, kept: Sequence[str]) -> bytes:
    """The model in int8, but for what no network has in int8, and for the operations `kept`."""
    from tensorflow.lite.python.convert import mlir_quantize

    # The channels that the first depthwise convolution reads differ most in range, as nothing has
    # normalised them.
    first = [*_list_head(calibrated), *_names(calibrated, ['DEPTHWISE_CONV_2D'])[:1]]
    with quiet_converter():
        return mlir_quantize(
            calibrated,
            denylisted_ops=set(_FLOAT_KINDS),
            denylisted_nodes={*_list_tail(calibrated), *first, *kept},
        )
