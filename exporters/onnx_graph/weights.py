"""Weights of an ONNX model, made ready for eight bits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from exporters.precision import rounding
from exporters.precision.rounding import LARGEST, LARGEST_OF_PHOTO


def round_weights(
    model: Any, in_float: Collection[str] = (), of_photo: Collection[str] = ()
) -> None:
    """Rounds the weights of convolutions to eight bits with `rounding.round_weights`.

    Args:
      model: An `onnx.ModelProto`; changed in place.
      in_float: The names of convolutions whose weights stay as they are.
      of_photo: The names of weights that have `rounding.LARGEST_OF_PHOTO` steps.
    """
    from onnx import numpy_helper

    kernels = {
        node.input[1]
        for node in model.graph.node
        if node.op_type == 'Conv' and node.name not in in_float
    }
    for tensor in model.graph.initializer:
        if tensor.name in kernels:
            largest = LARGEST_OF_PHOTO if tensor.name in of_photo else LARGEST
            value = rounding.round_weights(numpy_helper.to_array(tensor), largest)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))


def list_photo_weights(model: Any) -> list[str]:
    """The names of the weights of convolutions of a model's input, whole or joined with others."""
    photo = {value.name for value in model.graph.input}
    names = []
    for node in model.graph.node:
        if node.op_type == 'Conv':
            if node.input[0] in photo:
                names.append(node.input[1])
        elif photo.intersection(node.input):
            photo.update(node.output)
    return names
