"""Weights of an ONNX model, made ready for eight bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.rounding import LARGEST, round_keeping_sums


def round_weights(model: Any) -> None:
    """Rounds the weights of all convolutions to eight bits, with `rounding.round_keeping_sums`.

    Each output has a step of its own, a 127th of its largest weight: ONNX Runtime, which takes the
    same steps, finds values that it need not round.

    Args:
      model: An `onnx.ModelProto`; changed in place.
    """
    from onnx import numpy_helper

    kernels = {node.input[1] for node in model.graph.node if node.op_type == 'Conv'}
    for tensor in model.graph.initializer:
        if tensor.name not in kernels:
            continue
        kernel = numpy_helper.to_array(tensor)
        largest = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True)
        step = np.where(largest > 0, largest, 1) / LARGEST
        value = round_keeping_sums(kernel / step) * step
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
