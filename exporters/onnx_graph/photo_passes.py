"""The photo in a model, made ready for kernels of 8 bits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor, attributes

CHANNELS = 3


@dataclasses.dataclass(frozen=True)
class Levels:
    """The numbers that a tensor can hold: scale · (k − zero) for the bytes k.

    Attributes:
      name: The tensor.
      scale: The distance of two of them.
      zero: The byte that stands for 0.
    """

    name: str
    scale: float
    zero: int


def prepare_photo(model: Any, *, widen: bool = True) -> Levels | None:
    """Makes the photo that convolutions read one of four channels, and of levels with a zero.

    ONNX Runtime's kernels of 8 bits take four channels at a time; three take twice as long. The
    fourth is the first once more, with weights of zero. A photo in [-1, 1] has 0 between two of its
    levels, so that 8 bits could not hold it exactly: it is shifted by half a level, and the
    convolutions' biases shift it back, except in their padding.

    Args:
      model: An `onnx.ModelProto` of a fixed size, which is changed in place. Nothing is changed if
        anything but convolutions reads the photo, resized or joined with other maps.
      widen: Whether it gets a fourth channel.

    Returns:
      The new photo and its levels; None if they are not known, or nothing was changed.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    for node in editor.nodes:
        photo = node.output[0]
        if editor.shape(photo)[1:2] != (CHANNELS,) or len(editor.shape(photo)) != 4:
            continue
        convolutions = _convolutions_behind(editor, photo)
        if convolutions is None:
            continue
        padded = f'{photo}_padded' if widen else photo
        for reader in editor.consumers(photo):
            reader.input[:] = [padded if name == photo else name for name in reader.input]
        shift, levels = _shift_levels(editor, photo, padded)
        for convolution, place in convolutions:
            _read_prepared(editor, convolution, place, shift, widen)
        if not widen:
            editor.rewrite({}, {})
            return levels
        indices = editor.add_constant(f'{padded}_channels', np.array([0, 1, 2, 0]))
        # A Pad of zeros takes ten times as long.
        pad = helper.make_node('Gather', [photo, indices], [padded], name=padded, axis=1)
        editor.rewrite({id(node): [node, pad]}, {})
        return levels
    return None


def _convolutions_behind(
    editor: OnnxEditor, name: str, place: int = CHANNELS
) -> list[tuple[Any, int]] | None:
    """The convolutions that read a tensor, resized or joined with others or not.

    Returns:
      Each, and the place of a further channel of the tensor among its inputs; None if anything else
      reads the tensor.
    """
    found: list[tuple[Any, int]] = []
    for node in editor.consumers(name):
        behind: list[tuple[Any, int]] | None = None
        if node.op_type == 'Resize':
            behind = _convolutions_behind(editor, node.output[0], place)
        elif node.op_type == 'Concat' and attributes(node)['axis'] == 1:
            before = list(node.input)[: list(node.input).index(name)]
            first = sum(editor.shape(other)[1] for other in before)
            behind = _convolutions_behind(editor, node.output[0], first + place)
        elif node.op_type == 'Conv' and attributes(node).get('group', 1) == 1:
            behind = [(node, place)] if editor.constant(node.input[1]) is not None else None
        if behind is None:
            return None
        found += behind
    return found or None


def _shift_levels(editor: OnnxEditor, photo: str, name: str) -> tuple[float, Levels | None]:
    """Shifts a photo made of bytes by scalars so that 0 is one of its levels.

    Returns:
      By how much it became smaller, and the levels of `name`, the tensor made of it; None if the
      input is not scaled in the model, so that nobody knows its levels.
    """
    factor, subtracted, place = 1.0, 0.0, None
    source = photo
    while node := editor.producer(source, shared=True):
        if node.op_type in ('Mul', 'Sub'):
            value = editor.constant(node.input[1])
            if value is None or value.size > 1:
                return 0, None
            if node.op_type == 'Mul':
                factor *= float(value.reshape(-1)[0])
            elif place is None and factor == 1:
                subtracted, place = float(value.reshape(-1)[0]), node
            else:
                return 0, None
        elif node.op_type != 'Transpose':
            return 0, None
        source = node.input[0]
    zero = int(np.ceil(subtracted / factor - 1e-3))
    if place is None:
        return 0, Levels(name, factor, zero) if factor != 1 else None
    shift = zero * factor - subtracted
    shifted = np.array(zero * factor, np.float32)
    place.input[1] = editor.add_constant(f'{place.name}_shifted', shifted)
    return shift, Levels(name, factor, zero)


def _read_prepared(editor: OnnxEditor, node: Any, place: int, shift: float, widen: bool) -> None:
    """Makes a convolution read the photo shifted, and with its fourth channel if it has one."""
    kernel = editor.constant(node.input[1])
    assert kernel is not None
    colours = kernel[:, place - CHANNELS : place].astype(np.float64)
    if widen:
        wider = np.insert(kernel, place, 0, axis=1)
        node.input[1] = editor.add_constant(f'{node.name}_padded_kernel', wider)
    bias = editor.constant(node.input[2]) if len(node.input) > 2 else np.zeros(len(kernel))
    if shift and bias is not None:
        bias = (bias + shift * colours.sum((1, 2, 3))).astype(np.float32)
        node.input[2:] = [editor.add_constant(f'{node.name}_shifted_bias', bias)]
