"""The nodes of a network that OpenVINO or TensorFlow has read, with the sizes of their tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mattingjax.inference.screening.memory import Step
from mattingjax.inference.screening.work import count_work

_SCRATCH = 5  # the output of a fused batch normalisation


def list_openvino_steps(model: Any, shape: tuple[int, ...]) -> Iterator[Step]:
    """The operations of an OpenVINO model.

    Args:
      model: An `openvino.Model` of one input.
      shape: Shape of the input.
    """
    if model.is_dynamic():
        model = model.clone()
        model.reshape(list(shape))
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        inputs = [tensor.get_source_output() for tensor in node.inputs()]
        yield Step(
            f'{name} ({node.get_type_name()})',
            [_name(output) for output in inputs],
            {_name(output): _openvino_size(output) for output in node.outputs()},
            _openvino_work(node),
        )


def openvino_source(model: Any) -> str:
    """The name that `list_openvino_steps` gives to the input of an `openvino.Model`."""
    return _name(model.inputs[0])


def _name(output: Any) -> str:
    # Names are unique; they survive `clone`.
    return f'{output.get_node().get_friendly_name()}:{output.get_index()}'


def _openvino_size(output: Any) -> int | None:
    shape = output.get_partial_shape()
    if shape.is_dynamic:
        return None
    elements = math.prod(side.get_length() for side in shape)
    return -(-elements * output.get_element_type().bitwidth // 8)


def _openvino_work(node: Any) -> int:
    inputs, outputs = (
        [
            [side.get_length() for side in port.get_partial_shape() if side.is_static]
            for port in ports
        ]
        for ports in (node.inputs(), node.outputs())
    )
    kind = node.get_type_name()
    window = node.get_attributes().get('kernel', []) if kind.endswith('Pool') else []
    return count_work(kind, inputs, outputs, window)


def list_tensorflow_steps(graph: Any) -> Iterator[Step]:
    """The operations of a `tf.Graph`."""
    for operation in graph.get_operations():
        yield Step(
            f'{operation.name} ({operation.type})',
            [tensor.name for tensor in operation.inputs],
            {tensor.name: _tensorflow_size(tensor) for tensor in operation.outputs},
            _tensorflow_work(operation),
        )


def _tensorflow_size(tensor: Any) -> int | None:
    operation = tensor.op
    if operation.type == 'FusedBatchNormV3' and tensor.value_index == _SCRATCH:
        # Room for a gradient's use, of a size that only running it tells: none in inference.
        return None if operation.get_attr('is_training') else 0
    elements = tensor.shape.num_elements()
    return None if elements is None else elements * tensor.dtype.size


def _tensorflow_work(operation: Any) -> int:
    inputs, outputs = (
        [[side or 0 for side in tensor.shape] if tensor.shape.rank else [] for tensor in tensors]
        for tensors in (operation.inputs, operation.outputs)
    )
    window = operation.get_attr('ksize') if operation.type.endswith('Pool') else []
    return count_work(operation.type, inputs, outputs, window)
