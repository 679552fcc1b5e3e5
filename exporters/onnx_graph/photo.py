"""The photo at the start of an ONNX model, made ready for eight bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor


def centre_on_levels(model: Any) -> None:
    """Normalises photos so that zero is a pixel value, and makes up for it in the biases.

    Eight bits hold the 256 values of a photo if zero, which quantisation keeps, is one of them.
    With a mean of 127.5 it lies between two, and each pixel would be rounded by half a level. The
    mean becomes one of the two, and the convolutions of the photo add what that takes away; at the
    border, which is padded with zeros, half a level is left.

    Args:
      model: An `onnx.ModelProto`; changed in place if its first nodes are input · factor − offset.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    scale = editor.consumers(model.graph.input[0].name)
    shift = editor.consumers(scale[0].output[0]) if len(scale) == 1 else []
    if [node.op_type for node in (*scale, *shift)] != ['Mul', 'Sub']:
        return
    factor, offset = (editor.constant(node.input[1]) for node in (scale[0], shift[0]))
    if factor is None or offset is None or offset.shape != (3,):
        return
    new = (np.round(offset / factor) * factor).astype(np.float32)
    centred = editor.add_constant(f'{shift[0].name}_centred', new)
    inputs = [shift[0].input[0], centred]
    replacements = {
        id(shift[0]): [helper.make_node('Sub', inputs, shift[0].output, name=shift[0].name)]
    }
    for node in _convolutions_behind(editor, shift[0]):
        kernel = editor.constant(node.input[1])
        assert kernel is not None
        bias = np.einsum('oihw,i->o', kernel.astype(np.float64), new - offset)
        if len(node.input) > 2:
            bias = bias + editor.constant(node.input[2])
        name = editor.add_constant(f'{node.name}_centred', bias.astype(np.float32))
        copy = type(node).FromString(node.SerializeToString())
        copy.input[:] = [*node.input[:2], name]
        replacements[id(node)] = [copy]
    editor.rewrite(replacements, {})


def _convolutions_behind(editor: OnnxEditor, node: Any) -> list[Any]:
    """The convolutions that read a node's output, transposed or resized or as it is."""
    found = []
    for reader in editor.consumers(node.output[0]):
        if reader.op_type == 'Conv':
            found.append(reader)
        elif reader.op_type in ('Transpose', 'Resize'):
            found += _convolutions_behind(editor, reader)
    return found
