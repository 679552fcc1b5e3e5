"""More channels, of zeros, where kernels of eight bits take a whole vector in less time."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor, attributes

_INPUTS = 4  # channels: kernels that accumulate products of 8 bits by fours take no remainder
_VECTOR = 16  # channels: the smallest block of the same kernels


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
            _add_features(editor, node, _VECTOR - len(kernel))
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
    if kernel is None or kernel.shape[0] >= _VECTOR or kernel.shape[1] % _INPUTS:
        return None
    return kernel if kernel.shape[2] * kernel.shape[3] > 1 else None


def _is_added(editor: OnnxEditor, node: Any) -> bool:
    """Whether the only reader adds the output of another convolution that would profit too."""
    (reader, *more) = editor.consumers(node.output[0]) or [None]
    if reader is None or more or reader.op_type != 'Add':
        return False
    others = [editor.producer(name, 'Conv') for name in reader.input]
    return all(other is not None and _narrow_kernel(editor, other) is not None for other in others)


def widen_branches(model: Any) -> None:
    """Gives dilated depthwise convolutions whole vectors of channels, the further ones zero.

    OpenVINO's kernel of eight bits for them takes twice as long for 8 channels as for 16, and half
    as long again for 24 as for 32. The convolution before gets further features of zeros, and the
    one behind further inputs, also where other maps are joined in between.

    Args:
      model: An `onnx.ModelProto` of a fixed size; changed in place.
    """
    editor = OnnxEditor(model)
    widened: set[int] = set()
    gaps: dict[int, tuple[Any, list[int]]] = {}
    for node in editor.nodes:
        more = -_depthwise_channels(editor, node) % _VECTOR
        if not more or id(node) in widened or set(attributes(node).get('dilations', ())) <= {1}:
            continue
        makers, reading = _makers(editor, node), _reader(editor, node)
        if makers is None or reading is None:
            continue
        reader, end, between = reading
        for convolution in (*makers, *between):
            widened.add(id(convolution))
            _add_features(editor, convolution, more)
        gaps.setdefault(id(reader), (reader, []))[1].extend([end] * more)
    for reader, places in gaps.values():
        kernel = editor.constant(reader.input[1])
        assert kernel is not None
        wider = np.insert(kernel, places, 0, axis=1)
        reader.input[1] = editor.add_constant(f'{reader.name}_gaps', wider)
    editor.rewrite({}, {})


def _depthwise_channels(editor: OnnxEditor, node: Any) -> int:
    """The channels of a depthwise convolution; 0 for every other node."""
    kernel = editor.constant(node.input[1]) if node.op_type == 'Conv' else None
    if kernel is None:
        return 0
    group: int = attributes(node).get('group', 1)
    return group if group > 1 and kernel.shape[:2] == (group, 1) else 0


def _is_mixing(editor: OnnxEditor, node: Any) -> bool:
    """Whether a node is an ordinary convolution, each of whose features reads all channels."""
    if node.op_type != 'Conv' or editor.constant(node.input[1]) is None:
        return False
    return attributes(node).get('group', 1) == 1


def _leaves_apart(editor: OnnxEditor, node: Any) -> bool:
    """Whether each channel that a node makes depends on the same channel of its input alone."""
    return node.op_type in ('Relu', 'Clip') or _depthwise_channels(editor, node) > 0


def _makers(editor: OnnxEditor, node: Any) -> list[Any] | None:
    """The convolutions, up to a node, that make its channels; None if others read these too."""
    found = []
    maker: Any | None = node
    while maker is not None and _leaves_apart(editor, maker):
        if maker.op_type == 'Conv':
            found.append(maker)
        maker = editor.producer(maker.input[0])
    return [*found, maker] if maker is not None and _is_mixing(editor, maker) else None


def _reader(editor: OnnxEditor, node: Any) -> tuple[Any, int, list[Any]] | None:
    """The ordinary convolution that reads a node's channels, joined with others or not.

    Returns:
      The convolution, the channels' end among its inputs, and depthwise ones in between; None if
      anything else reads them.
    """
    between: list[Any] = []
    end, joined = editor.shape(node.output[0])[1], False
    while len(readers := editor.consumers(node.output[0])) == 1:
        reader = readers[0]
        if _is_mixing(editor, reader):
            return reader, end, between
        names = list(reader.input)
        if names.count(node.output[0]) > 1:
            return None
        if reader.op_type == 'Concat' and attributes(reader)['axis'] == 1 and not joined:
            place = names.index(node.output[0]) + 1
            end = sum(editor.shape(name)[1] for name in names[:place])
            joined = True
        elif joined or not _leaves_apart(editor, reader):
            return None
        elif reader.op_type == 'Conv':
            between.append(reader)
        node = reader
    return None


def _add_features(editor: OnnxEditor, node: Any, more: int) -> None:
    """Gives a convolution further features, or depthwise channels, of zeros."""
    for i in range(1, len(node.input)):
        value = editor.constant(node.input[i])
        assert value is not None
        padded = np.pad(value, [(0, more), *[(0, 0)] * (value.ndim - 1)])
        node.input[i] = editor.add_constant(f'{node.name}_widened_{i}', padded)
    for attribute in node.attribute:
        if attribute.name == 'group' and attribute.i > 1:
            attribute.i += more
