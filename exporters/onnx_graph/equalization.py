"""Brings the channels of a map to one range, so that 8 bits with one scale fit all of them.

Folding batch normalisation leaves MobileNet's first maps with channels of 0.01 beside channels of
5, and weights of 170 behind the small ones: with one scale for all, what is small becomes zero.

References:
  Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019,
  section 4.1 (https://arxiv.org/abs/1906.04721): a channel that is scaled before an activation, and
  back in the weights behind it. Here the scales follow from the activations' ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor, attributes
from mattingjax.process.packages import import_onnxruntime

_MAX_SCALE = 2.0**12


def equalize_channels(model: Any, images: Sequence[np.ndarray]) -> None:
    """Scales channels between convolutions by what brings them to the range of the largest.

    Nothing changes but rounding on the images given. A channel of others that grows beyond the
    range that all have here may be cut off at 6, as the network's Clip does, and as 8 bits would.

    Args:
      model: An `onnx.ModelProto`, which is changed in place.
      images: float32 [N, H, W, 3] each, as the model takes them.
    """
    editor = OnnxEditor(model)
    chains = _find_chains(editor)
    if not chains:
        return
    for activation, largest in zip(chains, _measure(model, list(chains), images), strict=True):
        producer, readers = chains[activation]
        # A channel that is zero on all the images stays: nobody knows its range.
        scales = np.where(largest > 0, largest.max() / np.maximum(largest, 1e-12), 1)
        scales = np.minimum(scales, _MAX_SCALE).astype(np.float32)
        for i in range(1, len(producer.input)):
            value = editor.constant(producer.input[i])
            assert value is not None
            shape = (-1, *[1] * (value.ndim - 1))
            _replace(editor, producer, i, value * scales.reshape(shape))
        for reader in readers:
            kernel = editor.constant(reader.input[1])
            assert kernel is not None
            by_input = kernel.shape[1] > 1 or attributes(reader).get('group', 1) == 1
            shape = (1, -1, 1, 1) if by_input else (-1, 1, 1, 1)
            _replace(editor, reader, 1, kernel / scales.reshape(shape))
    editor.rewrite({}, {})


def _find_chains(editor: OnnxEditor) -> dict[str, tuple[Any, list[Any]]]:
    """Name of each activation between convolutions → the one before, and those behind."""
    chains = {}
    for node in editor.nodes:
        if node.op_type not in ('Relu', 'Clip'):
            continue
        producer = editor.producer(node.input[0], 'Conv')
        readers = editor.consumers(node.output[0])
        if producer is None or not all(_is_depthwise(editor, reader) for reader in readers):
            continue
        chains[node.output[0]] = producer, readers
    return chains


def _is_depthwise(editor: OnnxEditor, node: Any) -> bool:
    if node.op_type != 'Conv' or editor.constant(node.input[1]) is None:
        return False
    return attributes(node).get('group', 1) == editor.shape(node.output[0])[1]


def _replace(editor: OnnxEditor, node: Any, i: int, value: np.ndarray) -> None:
    # The node is in the name, as constants may be shared; scaled twice, it is there twice.
    node.input[i] = editor.add_constant(f'{node.input[i]}_of_{node.name}', value)


def _measure(model: Any, names: list[str], images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The largest value of each channel of maps [N, C, H, W] on all images."""
    from onnx import TensorProto, helper

    onnxruntime = import_onnxruntime()
    copy = type(model).FromString(model.SerializeToString())
    outputs = [f'{name}_largest' for name in names]
    for name, output in zip(names, outputs, strict=True):
        copy.graph.node.append(
            helper.make_node('ReduceMax', [name], [output], axes=[0, 2, 3], keepdims=0)
        )
        copy.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), settings, providers=['CPUExecutionProvider']
    )
    source = session.get_inputs()[0].name
    measured = [session.run(outputs, {source: image}) for image in images]
    return [np.max(values, axis=0) for values in zip(*measured, strict=True)]
