"""What of an OpenVINO IR in eight bits stays in float32."""

from __future__ import annotations

from typing import Any

from exporters.artefacts import group_by_kind

# What is done once for each pixel and needs no multiplication of matrices is as fast in float32
# where it is fused between quantised maps, and the two products that enlarge an alpha are faster.
FLOAT_KINDS = (
    'Multiply', 'Subtract', 'Divide', 'Power', 'Sqrt', 'ReduceMean', 'Sigmoid', 'Softmax',
    'Interpolate', 'MatMul',
)  # fmt: skip
CONVOLUTIONS = ('Convolution', 'GroupConvolution')
_COPIES = ('Slice', 'StridedSlice', 'Transpose', 'Reshape')


def list_float_operations(model: Any) -> dict[str, list[str]]:
    """What computes maps, or reads them, in float32.

    These are the kinds that NNCF is told to leave, and the convolutions that read what is not
    quantised. What is done to each value that a convolution gives, as activations are, is not
    listed: it goes with the convolution.

    Args:
      model: An `openvino.Model` in eight bits.

    Returns:
      Kind of operation → names.
    """
    return group_by_kind(
        (node.get_type_name(), node.get_friendly_name())
        for node in model.get_ordered_ops()
        if any(_is_map(value) for value in node.input_values())
        and (
            node.get_type_name() in FLOAT_KINDS
            or (node.get_type_name() in CONVOLUTIONS and not _is_quantized(node.input_value(0)))
        )
    )


def _is_map(value: Any) -> bool:
    """Whether it is computed for a photo, and has height and width."""
    shape = value.get_partial_shape()
    return (
        value.get_node().get_type_name() not in ('Constant', 'Convert')  # weights
        and len(shape) == 4
        and list(shape)[2:] != [1, 1]
    )


def _is_quantized(value: Any) -> bool:
    """Whether all of a map comes quantised, copied at most in between."""
    source = value.get_node()
    kind = source.get_type_name()
    if kind == 'Concat':
        return all(map(_is_quantized, source.input_values()))
    if kind in _COPIES:
        return _is_quantized(source.input_value(0))
    return kind == 'FakeQuantize'
