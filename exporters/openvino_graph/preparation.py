"""The ONNX model of a network as OpenVINO's kernels of eight bits like it."""

from __future__ import annotations

from typing import Any

from exporters.onnx_graph import conversion, normalisation
from exporters.onnx_graph.photo_passes import prepare_photo
from exporters.onnx_graph.resizing import shrink_by_convolution
from exporters.onnx_graph.widening import widen_branches


def prepare_onnx(model: Any, *, is_photo: bool = True) -> Any:
    """A copy that computes the same, in forms that are fast in eight bits and lose little.

    Args:
      model: An `onnx.ModelProto` as `conversion.create_onnx` returns it.
      is_photo: Whether it takes photos in [0, 255], whose levels it then keeps.

    Returns:
      An `onnx.ModelProto` of the model's size alone.
    """
    prepared = type(model).FromString(model.SerializeToString())
    normalisation.normalise_in_one_pass(prepared)
    fixed = conversion.fix_size(prepared)
    shrink_by_convolution(fixed)
    widen_branches(fixed)
    normalisation.compute_statistics_once(fixed)
    normalisation.average_in_float(fixed)
    if is_photo:
        prepare_photo(fixed, widen=False)
    return fixed
