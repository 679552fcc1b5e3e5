"""Passes that make an ONNX model cleaner, or faster on a CPU, and never change its result.

Each takes the model, an `onnx.ModelProto` (NCHW inside), and changes it in place, and keeps it
independent of its input's size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor, attributes

NARROW = 4  # channels


def drop_reshapes(model: Any) -> None:
    """Removes reshapes that change nothing; from one channel NCHW to NHWC they become transposes.

    tf2onnx writes them for transposes of tensors with one channel or one pixel, and with constant
    sizes, which would tie the model to its size.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    aliases = {}
    for node in editor.nodes:
        if node.op_type != 'Reshape':
            continue
        before, after = editor.shape(node.input[0]), editor.shape(node.output[0])
        if before == after and before:
            aliases[node.output[0]] = node.input[0]
            replacements[id(node)] = []
        elif len(before) == 4 and before[1] == 1 and after == (*before[:1], *before[2:], 1):
            transpose = helper.make_node(
                'Transpose', node.input[:1], node.output, name=node.name, perm=(0, 2, 3, 1)
            )
            replacements[id(node)] = [transpose]
    editor.rewrite(replacements, aliases)


def trim_slices(model: Any) -> None:
    """Slices only along axes that are cut; ends of others would tie the model to its size."""
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        if node.op_type != 'Slice':
            continue
        before, after = editor.shape(node.input[0]), editor.shape(node.output[0])
        bounds = [editor.constant(name) for name in node.input[1:] if name]
        if len(bounds) < 3 or any(bound is None for bound in bounds) or len(before) != len(after):
            continue
        axes = [int(axis) % len(before) for axis in bounds[2]]  # type: ignore[union-attr]
        cut = [i for i, axis in enumerate(axes) if before[axis] != after[axis]]
        names = [
            editor.add_constant(f'{node.name}_{part}', bound[cut])  # type: ignore[index]
            for part, bound in zip(('starts', 'ends', 'axes', 'steps'), bounds, strict=False)
        ]
        inputs = [node.input[0], *names]
        replacements[id(node)] = [helper.make_node('Slice', inputs, node.output, name=node.name)]
    editor.rewrite(replacements, {})


def shrink_constants(model: Any) -> None:
    """Makes one number of constants of equal numbers, which are added or multiplied faster."""
    editor = OnnxEditor(model)
    for node in editor.nodes:
        if node.op_type not in ('Add', 'Sub', 'Mul'):
            continue
        for i, name in enumerate(node.input):
            value = editor.constant(name)
            if value is None or value.size < 2 or np.any(value != value.flat[0]):
                continue
            if editor.shape(node.input[1 - i]) == editor.shape(node.output[0]):
                node.input[i] = editor.add_constant(f'{node.name}_number', value.reshape(-1)[0])
    editor.rewrite({}, {})


def fold_pads(model: Any) -> None:
    """Moves zero padding into the convolution behind it."""
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        pad = editor.producer(node.input[0], 'Pad') if node.op_type == 'Conv' else None
        if pad is None or attributes(pad).get('mode', b'constant') != b'constant':
            continue
        pads = editor.constant(pad.input[1])
        value = editor.constant(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else 0
        options = attributes(node)
        if pads is None or value is None or np.any(value) or np.any(pads[[0, 1, 4, 5]]):
            continue
        if np.any(pads < 0):  # it crops, which no convolution does
            continue
        if options.pop('auto_pad', b'NOTSET') not in (b'NOTSET', b'VALID'):
            continue
        inner = np.asarray(options.pop('pads', (0, 0, 0, 0)))
        options['pads'] = [int(size) for size in inner + pads[[2, 3, 6, 7]]]
        inputs = [pad.input[0], *node.input[1:]]
        replacements[id(pad)] = []
        replacements[id(node)] = [
            helper.make_node('Conv', inputs, node.output, name=node.name, **options)
        ]
    editor.rewrite(replacements, {})


def split_narrow_inputs(model: Any) -> None:
    """Convolves a concatenated photo (3 channels) apart from its features, and adds the results.

    CPU kernels work on blocks of 8 or 16 channels: 32 + 3 cost as much as 48. Runtimes have special
    kernels for the photo alone, and less is copied for the concatenation.
    """
    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        join = editor.producer(node.input[0], 'Concat') if node.op_type == 'Conv' else None
        kernel = editor.constant(node.input[1]) if join is not None else None
        if join is None or kernel is None or attributes(join)['axis'] != 1:
            continue
        channels = [(*editor.shape(name), 0, 0)[1] for name in join.input]
        narrow = [i for i, count in enumerate(channels) if 0 < count <= NARROW]
        if not narrow or len(channels) < 2 or 0 in channels:
            continue
        replacements[id(join)] = []
        replacements[id(node)] = _convolve_apart(editor, node, join, narrow[-1], channels)
    editor.rewrite(replacements, {})


def _convolve_apart(
    editor: OnnxEditor, node: Any, join: Any, narrow: int, channels: list[int]
) -> list[Any]:
    """The nodes in the place of a convolution of joined maps, of which number `narrow` is apart."""
    from onnx import helper

    kernel = editor.constant(node.input[1])
    assert kernel is not None
    start = sum(channels[:narrow])
    apart = range(start, start + channels[narrow])
    name, options, nodes = node.name, attributes(node), []
    others = [name for i, name in enumerate(join.input) if i != narrow]
    wide = others[0]
    if len(others) > 1:
        wide = f'{join.name}_wide'
        nodes.append(helper.make_node('Concat', others, [wide], name=wide, axis=1))
    for part, source, values, bias in (
        ('wide', wide, np.delete(kernel, apart, axis=1), list(node.input[2:])),
        ('narrow', join.input[narrow], kernel[:, apart], []),
    ):
        weights = editor.add_constant(f'{name}_{part}_kernel', values)
        nodes.append(
            helper.make_node(
                'Conv', [source, weights, *bias], [f'{name}_{part}'],
                name=f'{name}_{part}', **options,
            )
        )  # fmt: skip
    parts = [f'{name}_wide', f'{name}_narrow']
    return [*nodes, helper.make_node('Add', parts, node.output, name=name)]
