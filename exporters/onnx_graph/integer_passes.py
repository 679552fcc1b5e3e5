"""Passes that let ONNX Runtime's kernels for 8 bits do well, and never change a model's result.

Each takes the model, an `onnx.ModelProto` of a fixed size (NCHW inside), and changes it in place.
They run before a model is quantised. With float32 they would not pay everywhere: OpenVINO is faster
with what they replace.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor, attributes

_INPUTS = 4  # channels: kernels that accumulate products of 8 bits by fours take no remainder
_OUTPUTS = 16  # channels: the smallest block of the same kernels


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


def widen_convolutions(model: Any) -> None:
    """Gives convolutions of few features further ones of zeros, which are cut off behind them.

    Below 16 features ONNX Runtime has no fast kernel of 8 bits for windows of several pixels: 8
    take eleven times as long as 16. Where two such are added, the sum is cut.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for last in editor.nodes:
        parts = [last]
        if last.op_type == 'Add':
            producers = [editor.producer(name, 'Conv') for name in last.input]
            parts = [node for node in producers if node is not None]
        found = [_narrow_kernel(editor, node) for node in parts]
        kernels = [kernel for kernel in found if kernel is not None]
        if len(kernels) != 1 + (last.op_type == 'Add'):
            continue
        if last.op_type == 'Conv' and _is_added(editor, last):
            continue
        for node, kernel in zip(parts, kernels, strict=True):
            _widen(editor, node, kernel)
        features = editor.shape(last.output[0])[1]
        output, wide = last.output[0], f'{last.name}_widened'
        last.output[0] = wide
        bounds = [
            editor.add_constant(f'{wide}_{key}', np.array([value]))
            for key, value in (('start', 0), ('end', features), ('axis', 1))
        ]
        cut = helper.make_node('Slice', [wide, *bounds], [output], name=f'{wide}_cut')
        replacements[id(last)] = [last, cut]
    editor.rewrite(replacements, {})


def _narrow_kernel(editor: OnnxEditor, node: Any) -> np.ndarray | None:
    """The kernel of a convolution that would profit from more features, or None."""
    if node.op_type != 'Conv' or attributes(node).get('group', 1) != 1:
        return None
    kernel = editor.constant(node.input[1])
    if kernel is None or kernel.shape[0] >= _OUTPUTS or kernel.shape[1] % _INPUTS:
        return None
    return kernel if kernel.shape[2] * kernel.shape[3] > 1 else None


def _is_added(editor: OnnxEditor, node: Any) -> bool:
    """Whether the only reader adds the output of another convolution that would profit too."""
    (reader, *more) = editor.consumers(node.output[0]) or [None]
    if reader is None or more or reader.op_type != 'Add':
        return False
    others = [editor.producer(name, 'Conv') for name in reader.input]
    return all(other is not None and _narrow_kernel(editor, other) is not None for other in others)


def _widen(editor: OnnxEditor, node: Any, kernel: np.ndarray) -> None:
    more = _OUTPUTS - kernel.shape[0]
    values = [np.pad(kernel, ((0, more), (0, 0), (0, 0), (0, 0)))]
    if len(node.input) > 2:
        bias = editor.constant(node.input[2])
        assert bias is not None
        values.append(np.pad(bias, (0, more)))
    for i, value in enumerate(values, start=1):
        node.input[i] = editor.add_constant(f'{node.name}_widened_{i}', value)
