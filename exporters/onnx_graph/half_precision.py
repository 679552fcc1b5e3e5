"""ONNX models whose weights are stored in half precision, and read as float32.

Arithmetic stays float32. With onnxconverter-common's conversion to half-precision arithmetic no
runtime here would compute what a GPU does (ONNX Runtime widens each operator on a CPU, and drops
the rounding between them), so that no bound could be shown. Runtimes for GPUs compute in half
precision by an option of their own, with or without it in the file.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from exporters.precision.within_tolerance import share_of_largest


def compress_largest(model: Any, count: int) -> tuple[Any, float]:
    """Stores the largest constants in half precision.

    Args:
      model: An `onnx.ModelProto`, float32, which is not changed.
      count: How many constants; at most `count_constants(model)`.

    Returns:
      A copy that casts them to float32 where it begins, and the share of the numbers in constants
      that it stores in half precision, in [0, 1].
    """
    from onnx import TensorProto, helper, numpy_helper

    copy = type(model).FromString(model.SerializeToString())
    constants = _constants(copy)
    casts = []
    for tensor in constants[:count]:
        name = tensor.name
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, f'{name}_half'))
        casts.append(
            helper.make_node(
                'Cast', [tensor.name], [name], name=f'{name}_single', to=TensorProto.FLOAT
            )
        )
    nodes = [*casts, *(type(node).FromString(node.SerializeToString()) for node in copy.graph.node)]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    sizes = [math.prod(tensor.dims) for tensor in constants]
    return copy, share_of_largest(sizes, count)


def count_constants(model: Any) -> int:
    """How many constants `compress_largest` can compress."""
    return len(_constants(model))


def _constants(model: Any) -> list[Any]:
    """The float32 tensors of more than one number, the largest first."""
    from onnx import TensorProto

    tensors = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and math.prod(tensor.dims) > 1
    ]
    return sorted(tensors, key=lambda tensor: -math.prod(tensor.dims))
