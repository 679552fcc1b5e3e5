"""Weights of an ONNX model, made ready for eight bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.rounding import round_keeping_sums


def round_weights(model: Any) -> None:
    """Rounds the weights of all convolutions to eight bits, with `rounding.round_keeping_sums`.

    Whatever quantises the model afterwards, symmetrically and with a step for each output, finds
    values that it need not round.

    Args:
      model: An `onnx.ModelProto`; changed in place.
    """
    from onnx import numpy_helper

    kernels = {node.input[1] for node in model.graph.node if node.op_type == 'Conv'}
    for tensor in model.graph.initializer:
        if tensor.name in kernels:
            kernel = numpy_helper.to_array(tensor)
            rounded = round_keeping_sums(kernel.reshape(*kernel.shape[:2], -1))
            value = np.ascontiguousarray(rounded.reshape(kernel.shape))
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
