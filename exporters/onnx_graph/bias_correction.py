"""Takes from a quantised model's biases what rounding adds to the mean of each channel.

References:
  Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019,
  section 4.2 (https://arxiv.org/abs/1906.04721), with measured means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor
from mattingjax.process.packages import import_onnxruntime

_PREFIX = 'rounded/'


def correct_biases(quantised: Any, model: Any, images: Sequence[np.ndarray]) -> None:
    """Makes each convolution right on average, given what it would read without quantisation.

    Args:
      quantised: The `onnx.ModelProto` that ONNX Runtime made of `model`; changed in place.
      model: An `onnx.ModelProto`, float32, whose nodes have names.
      images: float32 [N, H, W, 3] each, as the model takes them.
    """
    from onnx import numpy_helper

    editor = OnnxEditor(quantised)
    initializers = {tensor.name: tensor for tensor in quantised.graph.initializer}
    for node, error in _measure_errors(editor, model, images):
        dequantise = editor.producer(node.input[2], 'DequantizeLinear')
        if dequantise is None:  # a bias that convolutions share
            continue
        name, scale_name = dequantise.input[:2]
        value, scale = editor.constant(name), editor.constant(scale_name)
        assert value is not None
        assert scale is not None
        limits = np.iinfo(value.dtype)
        corrected = np.clip(np.round(value - error / scale), limits.min, limits.max)
        initializers[name].CopyFrom(numpy_helper.from_array(corrected.astype(value.dtype), name))


def _measure_errors(
    editor: OnnxEditor, model: Any, images: Sequence[np.ndarray]
) -> list[tuple[Any, np.ndarray]]:
    """Each quantised convolution, and what rounding adds to the means of its channels, [C]."""
    from onnx import TensorProto, helper

    both = type(model).FromString(model.SerializeToString())
    floats = {node.name: node.output[0] for node in both.graph.node if node.op_type == 'Conv'}
    convolutions = [
        node
        for node in editor.nodes
        if node.op_type == 'Conv'
        and len(node.input) > 2
        and editor.producer(node.input[0], 'DequantizeLinear', shared=True)
    ]
    for node in editor.nodes:
        if node.op_type in ('QuantizeLinear', 'DequantizeLinear') or node in convolutions:
            both.graph.node.append(_beside(editor, node))
    known = {tensor.name for tensor in both.graph.initializer}
    both.graph.initializer.extend(
        tensor for tensor in editor.model.graph.initializer if tensor.name not in known
    )
    outputs = []
    for node in convolutions:
        for made in (_PREFIX + node.output[0], floats[node.name]):
            outputs.append(f'{made}/mean')
            both.graph.node.append(
                helper.make_node('ReduceMean', [made], outputs[-1:], axes=[0, 2, 3], keepdims=0)
            )
            both.graph.output.append(
                helper.make_tensor_value_info(outputs[-1], TensorProto.FLOAT, None)
            )
    means = _run_mean(both, outputs, images)
    return [
        (node, rounded - exact)
        for node, rounded, exact in zip(convolutions, means[::2], means[1::2], strict=True)
    ]


def _beside(editor: OnnxEditor, node: Any) -> Any:
    """A copy of a node, for the graph that holds both models: it quantises the other's tensors."""
    copy = type(node).FromString(node.SerializeToString())
    copy.name = _PREFIX + node.name
    if node.op_type != 'QuantizeLinear':
        copy.input[:] = [
            name if editor.constant(name) is not None else _PREFIX + name for name in node.input
        ]
    copy.output[:] = [_PREFIX + name for name in node.output]
    return copy


def _run_mean(model: Any, outputs: list[str], images: Sequence[np.ndarray]) -> list[np.ndarray]:
    onnxruntime = import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=['CPUExecutionProvider']
    )
    source = session.get_inputs()[0].name
    measured = [session.run(outputs, {source: image}) for image in images]
    return [np.mean(values, axis=0) for values in zip(*measured, strict=True)]
