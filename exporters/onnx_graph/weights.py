"""Weights of an ONNX model, made ready for eight bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters import rounding


def round_weights(model: Any) -> None:
    """Rounds the weights of all convolutions to eight bits with `rounding.round_weights`.

    Args:
      model: An `onnx.ModelProto`; changed in place.
    """
    from onnx import numpy_helper

    kernels = {node.input[1] for node in model.graph.node if node.op_type == 'Conv'}
    for tensor in model.graph.initializer:
        if tensor.name in kernels:
            value = rounding.round_weights(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
