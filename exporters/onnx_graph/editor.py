"""A view of an ONNX model for rewriting it: shapes, constants, producers and consumers."""

from __future__ import annotations

from typing import Any

import numpy as np


class OnnxEditor:
    """An ONNX model, shapes inferred, and the look-ups that a rewriting pass needs.

    Passes read through it and call `rewrite` once; a new pass starts with a new editor.

    Args:
      model: An `onnx.ModelProto`; `rewrite` changes it in place.
    """

    def __init__(self, model: Any):
        import onnx
        from onnx import numpy_helper

        self.model = model
        self.nodes = list(model.graph.node)
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self._shapes = {
            value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
        }
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._to_array = numpy_helper.to_array
        self._to_tensor = numpy_helper.from_array
        self._producers = {name: node for node in self.nodes for name in node.output}

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor's sides; 0 for a free one, () if they are unknown."""
        return self._shapes.get(name, ())

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a constant, or None if `name` is computed."""
        tensor = self._constants.get(name)
        return None if tensor is None else self._to_array(tensor)

    def producer(self, name: str, *ops: str, shared: bool = False) -> Any | None:
        """The node that makes a tensor, if it is one of these ops and has one reader; else None.

        Args:
          name: The tensor.
          ops: What the node may be; anything if there are none.
          shared: Whether the tensor may have several readers.
        """
        node = self._producers.get(name)
        if node is None or (ops and node.op_type not in ops):
            return None
        return node if shared or len(self.consumers(name)) == 1 else None

    def consumers(self, name: str) -> list[Any]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if name in node.input]

    def add_constant(self, name: str, value: np.ndarray) -> str:
        """Adds a constant of this name and value; returns the name."""
        tensor = self._to_tensor(np.ascontiguousarray(value), name)
        self.model.graph.initializer.append(tensor)
        self._constants[name] = tensor
        return name

    def rewrite(self, replacements: dict[int, list[Any]], aliases: dict[str, str]) -> None:
        """Puts other nodes in the place of some, and drops nodes that nothing reads any more.

        Args:
          replacements: `id` of a node → the nodes that take its place.
          aliases: Name of a tensor → name of the tensor that is read instead.
        """
        nodes = [new for node in self.nodes for new in replacements.get(id(node), [node])]
        for node in nodes:
            node.input[:] = [_resolve(name, aliases) for name in node.input]
        needed = {value.name for value in self.model.graph.output}
        kept = []
        for node in reversed(nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        graph = self.model.graph
        constants = [tensor for tensor in graph.initializer if tensor.name in needed]
        for field, values in ((graph.node, kept[::-1]), (graph.initializer, constants)):
            copies = [type(value).FromString(value.SerializeToString()) for value in values]
            del field[:]
            field.extend(copies)
        del graph.value_info[:]


def _resolve(name: str, aliases: dict[str, str]) -> str:
    while name in aliases:
        name = aliases[name]
    return name


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as Python values."""
    from onnx import helper

    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
