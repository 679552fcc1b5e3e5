"""Instance normalisation as INT8 runtimes like it: every large map is read in eight bits."""

from __future__ import annotations

from typing import Any

from exporters.onnx_graph.editor import OnnxEditor


def normalise_in_one_pass(model: Any) -> None:
    """Takes the variance from the mean of the squares, so that no centred map is kept.

    (x − m) · r becomes x · r − m · r, and the mean of (x − m)² that of x² less m². In float32 the
    difference of two large numbers may lose half of its digits, so this is for eight bits alone:
    there the map itself has two digits, and a map written and read once less saves time.

    Args:
      model: An `onnx.ModelProto` as `conversion.create_onnx` returns it; changed in place.
    """
    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        if node.op_type == 'Sub':
            replacements |= _replace(editor, node)
    editor.rewrite(replacements, {})


def _replace(editor: OnnxEditor, centre: Any) -> dict[int, list[Any]]:
    """The replacements for one normalisation; none if the node is not the centring of one."""
    from onnx import helper

    x, mean = centre.input
    readers = editor.consumers(centre.output[0])
    squares = [node for node in readers if list(node.input) == [centre.output[0]] * 2]
    scalings = [node for node in readers if node not in squares]
    kinds = {node.op_type for node in readers}
    if kinds != {'Mul'} or (len(squares), len(scalings)) != (1, 1):
        return {}
    square, scaling = squares[0], scalings[0]
    (factor,) = set(scaling.input) - {centre.output[0]}
    masked = _follow(editor, square, ('AveragePool', 'GlobalAveragePool', 'Mul'))
    if masked is None:
        return {}

    nodes: list[Any] = []

    def add(kind: str, inputs: list[str], part: str) -> str:
        name = f'{centre.name}_{part}'
        nodes.append(helper.make_node(kind, inputs, [name], name=name))
        return name

    offset = add('Mul', [mean, factor], 'offset')
    scaled = add('Mul', [x, factor], 'scaled')
    nodes.append(helper.make_node('Sub', [scaled, offset], scaling.output, name=scaling.name))
    whole, name = f'{masked.name}_of_squares', masked.name
    squared_mean, difference = f'{name}_mean', f'{name}_difference'
    return {
        id(centre): [],
        id(square): [helper.make_node('Mul', [x, x], square.output, name=square.name)],
        id(masked): [
            helper.make_node('Mul', masked.input, [whole], name=whole),
            helper.make_node('Mul', [mean, mean], [squared_mean], name=squared_mean),
            helper.make_node('Sub', [whole, squared_mean], [difference], name=difference),
            # Rounding may leave less than nothing of a channel that hardly varies.
            helper.make_node('Relu', [difference], masked.output, name=name),
        ],
        id(scaling): nodes,
    }


def _follow(editor: OnnxEditor, node: Any, kinds: tuple[str, ...]) -> Any | None:
    """The last of a chain of nodes of these kinds behind a node; None if there is no such chain."""
    for kind in kinds:
        readers = editor.consumers(node.output[0])
        if len(readers) != 1 or readers[0].op_type != kind:
            return None
        node = readers[0]
    return node
