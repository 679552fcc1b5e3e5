"""Passes that make an ONNX model cleaner, or faster on a CPU, and never change its result.

Each takes the model, an `onnx.ModelProto` (NCHW inside), and changes it in place. All but the last
two keep the model independent of its input's size.
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
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        join = editor.producer(node.input[0], 'Concat') if node.op_type == 'Conv' else None
        kernel = editor.constant(node.input[1]) if join is not None else None
        if join is None or kernel is None or attributes(join)['axis'] != 1:
            continue
        narrow = editor.shape(join.input[-1])[1:2]
        if len(join.input) < 2 or not narrow or not 0 < narrow[0] <= NARROW:
            continue
        (channels,) = narrow
        name, options, nodes = node.name, attributes(node), []
        wide = join.input[0]
        if len(join.input) > 2:
            wide = f'{join.name}_wide'
            nodes.append(helper.make_node('Concat', join.input[:-1], [wide], name=wide, axis=1))
        for part, source, values, bias in (
            ('wide', wide, kernel[:, :-channels], list(node.input[2:])),
            ('narrow', join.input[-1], kernel[:, -channels:], []),
        ):
            weights = editor.add_constant(f'{name}_{part}_kernel', values)
            nodes.append(
                helper.make_node(
                    'Conv', [source, weights, *bias], [f'{name}_{part}'],
                    name=f'{name}_{part}', **options,
                )
            )  # fmt: skip
        nodes.append(
            helper.make_node('Add', [f'{name}_wide', f'{name}_narrow'], node.output, name=name)
        )
        replacements[id(join)] = []
        replacements[id(node)] = nodes
    editor.rewrite(replacements, {})


def interpolation_matrix(size: int, *, half_pixel: bool) -> np.ndarray:
    """Doubling one axis by bilinear interpolation, as a matrix [2 · size, size]."""
    position = np.arange(2 * size) / 2 - (0.25 if half_pixel else 0)
    lower = np.floor(position).astype(int)
    upper_weight = position - lower
    matrix = np.zeros((2 * size, size))
    rows = np.arange(2 * size)
    np.add.at(matrix, (rows, np.clip(lower, 0, size - 1)), 1 - upper_weight)
    np.add.at(matrix, (rows, np.clip(lower + 1, 0, size - 1)), upper_weight)
    return matrix


def _doubling(editor: OnnxEditor, node: Any) -> bool | None:
    """Whether a bilinear doubling of height and width is half-pixel; None for other nodes."""
    if node is None or node.op_type != 'Resize':
        return None
    before, after = editor.shape(node.input[0]), editor.shape(node.output[0])
    options = attributes(node)
    mode = options.get('coordinate_transformation_mode', b'half_pixel')
    if options.get('mode') != b'linear' or mode not in (b'half_pixel', b'asymmetric'):
        return None
    if not all(before) or after != (*before[:2], 2 * before[2], 2 * before[3]):
        return None
    return mode == b'half_pixel'


def multiply_narrow_resizes(model: Any) -> None:
    """Enlarges maps of few channels by two matrix products; resize kernels vectorise over many.

    With U the interpolation matrix of an axis, the enlarged map is U_h · X · U_wᵀ. Resizes in a row
    become one such product.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    narrow = {
        id(node)
        for node in editor.nodes
        if _doubling(editor, node) is not None and editor.shape(node.input[0])[1] <= NARROW
    }
    for node in editor.nodes:
        readers = editor.consumers(node.output[0])
        if id(node) not in narrow or (len(readers) == 1 and id(readers[0]) in narrow):
            continue
        chain = [node]
        while id(source := editor.producer(chain[0].input[0], 'Resize')) in narrow:
            chain.insert(0, source)
        matrices = []
        for axis in (2, 3):
            matrix = np.eye(editor.shape(chain[0].input[0])[axis])
            for step in chain:
                half_pixel = bool(_doubling(editor, step))
                matrix = interpolation_matrix(len(matrix), half_pixel=half_pixel) @ matrix
            matrices.append(matrix.astype(np.float32))
        rows = editor.add_constant(f'{node.name}_rows', matrices[0])
        columns = editor.add_constant(f'{node.name}_columns', matrices[1].T)
        wide = f'{node.name}_wide'
        replacements |= {id(step): [] for step in chain}
        replacements[id(node)] = [
            helper.make_node('MatMul', [chain[0].input[0], columns], [wide], name=wide),
            helper.make_node('MatMul', [rows, wide], node.output, name=node.name),
        ]
    editor.rewrite(replacements, {})


def convolve_before_enlarging(model: Any) -> None:
    """Mixes channels at the low resolution where a convolution follows a doubling.

    A k×k convolution of an enlarged map is the sum over its taps of shifted 1×1 convolutions, and
    those commute with the interpolation: with Y = all k² of them at the low resolution (a quarter
    of the multiplications) and A, B the interpolation matrices of the axes, shifted once per tap,
    the result is A · Y · Bᵀ, zero padding included. Done where it saves two thirds.
    """
    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        resize = editor.producer(node.input[0], 'Resize') if node.op_type == 'Conv' else None
        half_pixel = _doubling(editor, resize)
        kernel = editor.constant(node.input[1]) if half_pixel is not None else None
        if resize is None or kernel is None:
            continue
        size, options = kernel.shape[-1], attributes(node)
        if kernel.shape[2:] != (size, size) or list(options.get('pads', ())) != [size // 2] * 4:
            continue
        if set(options.get('strides', ())) != {1} or options.get('group', 1) != 1:
            continue
        _, channels, height, width = editor.shape(resize.input[0])
        before = 4 * height * width * size**2 * channels
        products = 2 * height * size * width * (size * height + 2 * width)
        if before // 4 + products > before / 3:
            continue
        replacements[id(resize)] = []
        replacements[id(node)] = _low_resolution_convolution(
            editor, node, resize.input[0], kernel, bool(half_pixel)
        )
    editor.rewrite(replacements, {})


def _low_resolution_convolution(
    editor: OnnxEditor, node: Any, source: str, kernel: np.ndarray, half_pixel: bool
) -> list[Any]:
    from onnx import helper

    features, channels, size, _ = kernel.shape
    batch, _, height, width = editor.shape(source)
    name = node.name
    taps = kernel.transpose(0, 2, 3, 1).reshape(features * size**2, channels, 1, 1)

    def shifted(length: int) -> np.ndarray:
        """One interpolation matrix per tap, side by side: [2 · length, size · length]."""
        matrix = interpolation_matrix(length, half_pixel=half_pixel)
        padded = np.pad(matrix, ((size // 2, size // 2), (0, 0)))
        parts = [padded[tap : tap + 2 * length] for tap in range(size)]
        return np.concatenate(parts, axis=1).astype(np.float32)

    constants = {
        'taps': taps,
        'split': np.array([batch * features, size, size, height, width]),
        'joined': np.array([batch, features, size * height, size * width]),
        'rows': shifted(height),
        'columns': shifted(width).T,
    }
    names = {key: editor.add_constant(f'{name}_{key}', value) for key, value in constants.items()}
    steps = [f'{name}_{step}' for step in ('low', 'parts', 'ordered', 'map', 'wide', 'product')]
    low, parts, ordered, joined, wide, product = steps
    nodes = [
        helper.make_node('Conv', [source, names['taps']], [low], name=low, kernel_shape=(1, 1)),
        helper.make_node('Reshape', [low, names['split']], [parts], name=parts),
        helper.make_node('Transpose', [parts], [ordered], name=ordered, perm=(0, 1, 3, 2, 4)),
        helper.make_node('Reshape', [ordered, names['joined']], [joined], name=joined),
        helper.make_node('MatMul', [joined, names['columns']], [wide], name=wide),
        helper.make_node('MatMul', [names['rows'], wide], [product], name=product),
    ]
    if len(node.input) < 3:
        nodes[-1].output[:] = node.output
        return nodes
    bias = editor.constant(node.input[2])
    assert bias is not None
    column = editor.add_constant(f'{name}_bias', bias.reshape(-1, 1, 1))
    return [*nodes, helper.make_node('Add', [product, column], node.output, name=name)]
