"""From a frozen TensorFlow graph to ONNX with tf2onnx, of a fixed size and of any size."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from exporters.onnx_graph import passes, phases, resizing
from mattingjax.errors import MattingError

OPSET = 17
DIMENSIONS = ('batch', 'height', 'width')


def create_onnx(graph: Any, input_name: str, output_name: str) -> Any:
    """Converts a frozen graph; only the input of the result depends on the graph's size.

    Args:
      graph: A `tf.compat.v1.GraphDef`, NHWC.
      input_name: Name of its placeholder, which the ONNX input keeps.
      output_name: Name of its last node, which the ONNX output keeps.

    Returns:
      An `onnx.ModelProto`, NCHW inside, NHWC at both ends.

    Raises:
      MattingError: tf2onnx left something that only fits this size.
    """
    import tf2onnx

    logging.getLogger('tf2onnx').setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_graph_def(
        graph,
        name='mattingjax',
        input_names=[f'{input_name}:0'],
        output_names=[f'{output_name}:0'],
        opset=OPSET,
    )
    _shorten_names(model)
    passes.drop_reshapes(model)
    passes.trim_slices(model)
    passes.shrink_constants(model)
    passes.fold_pads(model)
    passes.split_narrow_inputs(model)
    resizing.convolve_before_shrinking(model)
    if left := [node.name for node in model.graph.node if node.op_type in ('Reshape', 'Identity')]:
        raise MattingError(f'ONNX: expected no reshapes of constant size, found {left[0]}')
    return model


def _shorten_names(model: Any) -> None:
    """Takes TensorFlow's `:0` off the tensors' names."""
    graph = model.graph
    for node in graph.node:
        node.input[:] = [name.removesuffix(':0') for name in node.input]
        node.output[:] = [name.removesuffix(':0') for name in node.output]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = value.name.removesuffix(':0')
    del graph.value_info[:]


def fix_size(model: Any) -> Any:
    """A copy that is faster on a CPU and holds for its own size alone."""
    fixed = _copy(model)
    resizing.convolve_before_enlarging(fixed)
    resizing.multiply_narrow_resizes(fixed)
    phases.split_phases(fixed)
    return fixed


def free_size(model: Any) -> Any:
    """A copy that takes any batch, and any height and width that the network's stride divides."""
    free = _copy(model)
    for value in (*free.graph.input, *free.graph.output):
        for dimension, name in zip(value.type.tensor_type.shape.dim, DIMENSIONS, strict=False):
            dimension.Clear()
            dimension.dim_param = name
    return free


def finish_onnx(model: Any, metadata: dict[str, str]) -> bytes:
    """Adds shapes and metadata, checks the model and serialises it.

    Args:
      model: An `onnx.ModelProto`, which is not changed.
      metadata: Key → value of the model's own metadata.

    Raises:
      MattingError: ONNX's checker or strict shape inference refuses it.
    """
    import onnx

    model = _copy(model)
    model.producer_name, model.producer_version = 'mattingjax', version('mattingjax')
    onnx.helper.set_model_props(model, metadata)
    try:
        model = onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        )
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise MattingError(f'ONNX: the checker refuses the model ({error})') from error
    return model.SerializeToString()


def _copy(model: Any) -> Any:
    return type(model).FromString(model.SerializeToString())
