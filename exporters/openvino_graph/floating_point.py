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


def list_float_operations(model: Any) -> dict[str, list[str]]:
    """What computes maps, or reads them, in float32.

    These are the kinds that NNCF is told to leave, and the convolutions whose weights are not in
    eight bits: NNCF quantises weights where it quantises the map too, and nowhere else. What is
    done to each value that a convolution gives, as activations are, is not listed: it goes with
    the convolution.

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
            or (node.get_type_name() in CONVOLUTIONS and not _has_integer_weights(node))
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


def _has_integer_weights(convolution: Any) -> bool:
    source = convolution.input_value(1).get_node()
    while source.get_type_name() in ('Multiply', 'Convert', 'Reshape'):  # by their step
        source = source.input_value(0).get_node()
    return source.get_element_type().get_type_name() == 'i8'
