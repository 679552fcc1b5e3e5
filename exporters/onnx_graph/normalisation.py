"""Instance normalisation as INT8 runtimes like it: every large map is read in eight bits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

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


def compute_statistics_once(model: Any) -> None:
    """Keeps square roots and divisions of a normalisation from being computed for every pixel.

    OpenVINO fuses x · factor − offset with whatever arithmetic makes the two, which then costs as
    much as all else. To join them and take them apart is no arithmetic: nothing is fused across.

    Args:
      model: An `onnx.ModelProto` of a fixed size after `normalise_in_one_pass`; changed in place.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        scaling = editor.producer(node.input[0], 'Mul') if node.op_type == 'Sub' else None
        if scaling is None or editor.shape(node.output[0])[2:] == (1, 1):
            continue
        both = [scaling.input[1], node.input[1]]
        shapes = {editor.shape(name) for name in both}
        makers = [editor.producer(name, shared=True) for name in both]
        # What was joined, as for phases, is not fused anyway.
        kinds = {maker.op_type for maker in makers if maker is not None}
        if not kinds.isdisjoint(('Concat', 'Split')) or len(shapes) > 1:
            continue
        (shape,) = shapes
        if shape[2:] != (1, 1):
            continue
        name = f'{node.name}_statistics'
        parts = [f'{name}_{part}' for part in ('factor', 'offset')]
        sizes = editor.add_constant(f'{name}_sizes', np.array([shape[1]] * 2))
        replacements[id(scaling)] = []
        replacements[id(node)] = [
            helper.make_node('Concat', both, [name], name=name, axis=1),
            helper.make_node('Split', [name, sizes], parts, name=f'{name}_apart', axis=1),
            helper.make_node(
                'Mul', [scaling.input[0], parts[0]], scaling.output, name=scaling.name
            ),
            helper.make_node('Sub', [scaling.output[0], parts[1]], node.output, name=node.name),
        ]
    editor.rewrite(replacements, {})


def average_in_float(model: Any) -> None:
    """Averages whole maps by pooling, which OpenVINO computes in float32.

    A reduction it would compute in eight bits, to which it rounds the blocks' means before.

    Args:
      model: An `onnx.ModelProto` of a fixed size; changed in place.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        sides = editor.shape(node.input[0])[2:] if node.op_type == 'GlobalAveragePool' else ()
        if all(sides) and len(sides) == 2:
            replacements[id(node)] = [
                helper.make_node(
                    'AveragePool', node.input, node.output, name=node.name,
                    kernel_shape=sides, strides=sides,
                )
            ]  # fmt: skip
    editor.rewrite(replacements, {})


@dataclasses.dataclass(frozen=True)
class _Norm:
    """A masked instance normalisation: of the channels from `first` on, the others stay."""

    source: str
    first: int
    epsilon: float


def split_norms(model: Any) -> None:
    """Normalises only the channels that are normalised, by the operator that is made for it.

    The exporter writes an instance normalisation of half of the channels as arithmetic with a mask
    over all of them. Convolutions of 8 bits have the channels last, and in that layout arithmetic
    with one number a channel is eight times slower. The reshapes, which cost nothing, keep ONNX
    Runtime from moving its transposes past them.
    """
    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        if norm := _find_norm(editor, node):
            replacements[id(node)] = _split_norm(editor, node, norm)
    editor.rewrite(replacements, {})


def _split_norm(editor: OnnxEditor, node: Any, norm: _Norm) -> list[Any]:
    """The nodes in the place of the last one of a normalisation."""
    from onnx import helper

    batch, channels, height, width = editor.shape(norm.source)
    name, count = node.name, channels - norm.first
    constants = {
        'flat': np.array([batch, -1, height * width]),
        'whole': np.array([batch, channels, height, width]),
        'start': np.array([0]),
        'middle': np.array([norm.first]),
        'end': np.array([channels]),
        'axis': np.array([1]),
        'one': np.ones(count, np.float32),
        'zero': np.zeros(count, np.float32),
    }
    inputs = {key: editor.add_constant(f'{name}_{key}', value) for key, value in constants.items()}
    steps = [f'{name}_{step}' for step in ('flattened', 'kept', 'part', 'normed', 'joined')]
    flat, kept, part, normed, joined = steps
    cuts = {part: ('middle', 'end')}
    if norm.first:
        cuts = {kept: ('start', 'middle'), **cuts}
    return [
        helper.make_node('Reshape', [norm.source, inputs['flat']], [flat], name=flat),
        *(
            helper.make_node(
                'Slice', [flat, inputs[start], inputs[end], inputs['axis']], [cut], name=cut
            )
            for cut, (start, end) in cuts.items()
        ),
        helper.make_node(
            'InstanceNormalization', [part, inputs['one'], inputs['zero']], [normed],
            name=normed, epsilon=norm.epsilon,
        ),
        helper.make_node(
            'Concat', [*([kept] if norm.first else []), normed], [joined], name=joined, axis=1
        ),
        helper.make_node('Reshape', [joined, inputs['whole']], node.output, name=name),
    ]  # fmt: skip


def _find_norm(editor: OnnxEditor, node: Any) -> _Norm | None:
    """Recognises the last node of (x − mask · mean) / √(mask · variance + constant)."""

    def made_by(name: str, op: str) -> Any | None:
        return editor.producer(name, op, shared=True)

    def averaged(name: str) -> str | None:
        """What is averaged over height and width, by one step or by two, and masked."""
        product = made_by(name, 'Mul')
        mean = product and made_by(product.input[0], 'GlobalAveragePool')
        if not mean:
            return None
        squares = made_by(mean.input[0], 'AveragePool')
        return (squares or mean).input[0]

    if node.op_type != 'Mul':
        return None
    centred, inverse = made_by(node.input[0], 'Sub'), made_by(node.input[1], 'Reciprocal')
    root = inverse and made_by(inverse.input[0], 'Sqrt')
    shifted = root and made_by(root.input[0], 'Add')
    if not (centred and shifted) or averaged(centred.input[1]) != centred.input[0]:
        return None
    square = made_by(averaged(shifted.input[0]) or '', 'Mul')
    if not square or list(square.input) != [centred.output[0]] * 2:
        return None
    masks = [
        editor.constant(made_by(name, 'Mul').input[1])  # type: ignore[union-attr]
        for name in (centred.input[1], shifted.input[0])
    ]
    constant = editor.constant(shifted.input[1])
    known = [np.ravel(mask) for mask in masks if mask is not None]
    if constant is None or len(known) < 2:
        return None
    mask, other = known
    epsilon = float(np.ravel(constant)[-1])
    first = int(mask.size - mask.sum())
    expected = np.arange(mask.size) >= first
    added = np.where(expected, epsilon, 1).astype(np.float32)
    if first == mask.size or not (
        np.array_equal(mask, expected)
        and np.array_equal(other, expected)
        and np.array_equal(np.broadcast_to(np.ravel(constant), mask.shape), added)
    ):
        return None
    return _Norm(centred.input[0], first, epsilon)
