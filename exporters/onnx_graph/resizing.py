"""Passes around bilinear resizing, which runtimes do slowly: less of it, or other ops in its place.

Each takes the model, an `onnx.ModelProto` (NCHW inside), and changes it in place. All but
`convolve_before_shrinking` make it one of the size that it has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor, attributes
from exporters.onnx_graph.passes import NARROW


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


def doubling(editor: OnnxEditor, node: Any) -> bool | None:
    """Whether a bilinear doubling of height and width is half-pixel; None for other nodes."""
    mode = _bilinear_mode(node)
    if mode not in (b'half_pixel', b'asymmetric'):
        return None
    before, after = editor.shape(node.input[0]), editor.shape(node.output[0])
    if not all(before) or after != (*before[:2], 2 * before[2], 2 * before[3]):
        return None
    return mode == b'half_pixel'


def _bilinear_mode(node: Any) -> bytes | None:
    """How a bilinear resize maps coordinates; None for other nodes."""
    if node is None or node.op_type != 'Resize':
        return None
    options = attributes(node)
    if options.get('mode') != b'linear':
        return None
    return options.get('coordinate_transformation_mode', b'half_pixel')


def convolve_before_shrinking(model: Any) -> None:
    """Convolves the photo itself where a convolution follows its halving.

    Halving takes the mean of 2×2 pixels, so a convolution of the halved photo is one of the photo,
    with every tap spread over 2×2 and twice the stride and the padding.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        shrink = editor.producer(node.input[0], 'Resize') if node.op_type == 'Conv' else None
        kernel = editor.constant(node.input[1]) if shrink is not None else None
        if shrink is None or kernel is None or kernel.shape[1] > NARROW:
            continue
        before, after = editor.shape(shrink.input[0]), editor.shape(shrink.output[0])
        halves = all(before) and before == (*after[:2], *(2 * side for side in after[2:]))
        options = attributes(node)
        if not halves or _bilinear_mode(shrink) != b'half_pixel':
            continue
        if set(options.get('dilations', ())) - {1} or options.get('group', 1) != 1:
            continue
        spread = np.repeat(np.repeat(kernel, 2, axis=2), 2, axis=3) / 4
        twice: dict[str, Any] = {
            key: [2 * size for size in options.get(key, default)]
            for key, default in (('strides', (1, 1)), ('pads', (0,) * 4))
        }
        weights = editor.add_constant(f'{node.name}_spread', spread.astype(np.float32))
        inputs = [shrink.input[0], weights, *node.input[2:]]
        replacements[id(shrink)] = []
        replacements[id(node)] = [
            helper.make_node('Conv', inputs, node.output, name=node.name, **twice)
        ]
    editor.rewrite(replacements, {})


def shrink_by_convolution(model: Any) -> None:
    """Shrinks maps of few channels by a convolution, which runtimes compute in eight bits.

    By an even factor, bilinear resizing takes the mean of the 2×2 pixels in the middle of each
    square.
    """
    from onnx import helper

    editor = OnnxEditor(model)
    replacements: dict[int, list[Any]] = {}
    for node in editor.nodes:
        if _bilinear_mode(node) != b'half_pixel':
            continue
        before, after = editor.shape(node.input[0]), editor.shape(node.output[0])
        factor = before[-1] // after[-1] if all(before) and all(after) else 0
        shrunk = (*after[:2], *(factor * side for side in after[2:]))
        if factor < 2 or factor % 2 or before != shrunk or before[1] > NARROW:
            continue
        kernel = np.zeros((before[1], before[1], factor, factor), np.float32)
        middle = slice(factor // 2 - 1, factor // 2 + 1)
        kernel[range(before[1]), range(before[1]), middle, middle] = 1 / 4
        weights = editor.add_constant(f'{node.name}_mean', kernel)
        replacements[id(node)] = [
            helper.make_node(
                'Conv', [node.input[0], weights], node.output, name=node.name,
                kernel_shape=(factor, factor), strides=(factor, factor),
            )
        ]  # fmt: skip
    editor.rewrite(replacements, {})


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
        if doubling(editor, node) is not None and editor.shape(node.input[0])[1] <= NARROW
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
                half_pixel = bool(doubling(editor, step))
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
        half_pixel = doubling(editor, resize)
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
