"""The last layers at half the resolution: each square of 2×2 pixels lies side by side as channels.

CPU kernels work on 16 channels at once, and the layers at the full resolution have 8 of them, or
one. With four times the channels on a quarter of the pixels, which is the same numbers in another
order, nothing is left empty. A convolution of a doubled map then is one of the map itself: each of
the four pixels (the phases) is a convolution with a kernel of its own, and nothing is enlarged.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from exporters.onnx_graph.editor import OnnxEditor, attributes
from exporters.onnx_graph.resizing import doubling

_UNCHANGED = ('Relu', 'Sigmoid', 'Clip')
_ELEMENTWISE = ('Add', 'Sub', 'Mul')
_LEAST = 4  # pixels a side of the small map; below that borders meet


def split_phases(model: Any) -> None:
    """Moves what follows the last doubling into phases, if all of it can be moved.

    Args:
      model: An `onnx.ModelProto`, NCHW inside, that ends in a transpose of one channel to NHWC; it
        is changed in place, and holds for its own size alone.
    """
    editor = OnnxEditor(model)
    moved = _Phases(editor)
    if moved.move_all():
        editor.rewrite(moved.replacements, {})


class _Phases:
    """Rewrites the nodes behind the last doubling, in the order in which they are computed.

    Args:
      editor: The model.
    """

    def __init__(self, editor: OnnxEditor):
        self._editor = editor
        self._moved: set[str] = set()  # tensors [N, 4·C, H/2, W/2] in the place of [N, C, H, W]
        self.replacements: dict[int, list[Any]] = {}

    def move_all(self) -> bool:
        """Whether there is something to move, and every node that reads it can be moved."""
        ended = False
        for node in self._editor.nodes:
            if id(node) in self.replacements:
                continue
            if not self._moved.intersection(node.input):
                if self._follows_doubling(node):
                    self._move_convolution(node)
            elif not self._move(node):
                return False
            else:
                ended = ended or node.op_type == 'Transpose'
        return ended

    def _follows_doubling(self, node: Any) -> bool:
        """Whether a node is a convolution of 3×3 taps at the resolution of the output."""
        if node.op_type != 'Conv' or not self._is_plain(node, 3):
            return False
        source = self._editor.producer(node.input[0], 'Resize')
        if source is None or not doubling(self._editor, source):
            return False
        small = self._editor.shape(source.input[0])[2:]
        (end,) = self._editor.model.graph.output
        sides = tuple(side.dim_value for side in end.type.tensor_type.shape.dim)[1:3]
        return self._editor.shape(node.output[0])[2:] == sides and min(small) >= _LEAST

    def _is_plain(self, node: Any, size: int) -> bool:
        """Whether a convolution has size×size taps, stride 1, no groups and equal padding."""
        options, kernel = attributes(node), self._editor.constant(node.input[1])
        return (
            kernel is not None
            and kernel.shape[2:] == (size, size)
            and set(options.get('strides', (1,))) == {1}
            and set(options.get('dilations', (1,))) == {1}
            and options.get('group', 1) == 1
            and set(options.get('pads', (0,))) == {size // 2}
        )

    def _move(self, node: Any) -> bool:
        """Moves a node that reads something moved; returns whether it can be."""
        kind = node.op_type
        if kind == 'Transpose':
            return self._end(node)
        if kind == 'GlobalAveragePool':
            return self._average(node)
        if kind in _ELEMENTWISE:
            return self._combine(node)
        if kind == 'AveragePool':
            options = attributes(node)
            sides = options['kernel_shape']
            if sides != options.get('strides') or any(side % 2 for side in sides):
                return False
            half = [side // 2 for side in sides]
            self._replace(node, 'AveragePool', kernel_shape=half, strides=half)
        elif kind == 'Conv' and self._is_plain(node, 1):
            self._mix(node)
        elif kind not in _UNCHANGED:
            return False
        self._moved.update(node.output)
        return True

    def _replace(self, node: Any, kind: str, *inputs: str, **options: Any) -> None:
        from onnx import helper

        names = [*(inputs or node.input)]
        self.replacements[id(node)] = [
            helper.make_node(kind, names, node.output, name=node.name, **options)
        ]

    def _constant(self, node: Any, part: str, value: np.ndarray) -> str:
        if value.dtype == np.float64:
            value = value.astype(np.float32)
        return self._editor.add_constant(f'{node.name}_{part}', value)

    def _biases(self, node: Any) -> list[str]:
        if len(node.input) < 3:
            return []
        bias = self._editor.constant(node.input[2])
        assert bias is not None
        return [self._constant(node, 'biases', np.tile(bias, 4))]

    def _mix(self, node: Any) -> None:
        """Mixes channels within each phase."""
        kernel = self._editor.constant(node.input[1])
        assert kernel is not None
        blocks = np.kron(np.eye(4, dtype=np.float32), kernel[:, :, 0, 0])[..., None, None]
        weights = self._constant(node, 'phases', blocks)
        self._replace(
            node, 'Conv', node.input[0], weights, *self._biases(node), kernel_shape=(1, 1)
        )

    def _average(self, node: Any) -> bool:
        """Averages over the pixels of a phase and then over the phases: [N, C, 1, 1], not moved."""
        from onnx import helper

        channels = self._editor.shape(node.input[0])[1]
        weights = self._constant(node, 'mean', np.tile(np.eye(channels), 4)[..., None, None] / 4)
        inner = f'{node.name}_phases'
        self.replacements[id(node)] = [
            helper.make_node('GlobalAveragePool', node.input, [inner], name=inner),
            helper.make_node(
                'Conv', [inner, weights], node.output, name=node.name, kernel_shape=(1, 1)
            ),
        ]
        return True

    def _combine(self, node: Any) -> bool:
        """Combines what is moved with a value for each channel, or with what can be moved."""
        from onnx import helper

        names, before = [], []
        for place, name in enumerate(node.input):
            constant, shape = self._editor.constant(name), self._editor.shape(name)
            single = np.prod(shape[2:]) == 1
            if name in self._moved or (constant is not None and constant.size == 1):
                names.append(name)
            elif constant is not None and constant.ndim == 4 and single:
                names.append(self._constant(node, f'phases_{place}', np.tile(constant, (4, 1, 1))))
            elif constant is None and len(shape) == 4 and single:
                names.append(f'{node.name}_phases_{place}')
                before.append(
                    helper.make_node('Concat', [name] * 4, names[-1:], name=names[-1], axis=1)
                )
            else:
                other = self._editor.producer(name, 'Conv')
                if other is None or not self._is_plain(other, 3):
                    return False
                self._move_convolution(other)
                names.append(name)
        self._replace(node, node.op_type, *names)
        self.replacements[id(node)][:0] = before
        self._moved.update(node.output)
        return True

    def _end(self, node: Any) -> bool:
        """Puts the phases of one channel where they belong: NHWC at the full resolution."""
        from onnx import helper

        batch, channels, height, width = self._editor.shape(node.input[0])
        ends = [value.name for value in self._editor.model.graph.output]
        if channels != 1 or attributes(node)['perm'] != [0, 2, 3, 1] or node.output[0] not in ends:
            return False
        split = self._constant(
            node, 'split', np.array([batch, 2, 2, height // 2, width // 2], np.int64)
        )
        joined = self._constant(node, 'joined', np.array([batch, height, width, 1], np.int64))
        apart, ordered = f'{node.name}_apart', f'{node.name}_ordered'
        self.replacements[id(node)] = [
            helper.make_node('Reshape', [node.input[0], split], [apart], name=apart),
            helper.make_node('Transpose', [apart], [ordered], name=ordered, perm=(0, 3, 1, 4, 2)),
            helper.make_node('Reshape', [ordered, joined], node.output, name=node.name),
        ]
        return True

    def _move_convolution(self, node: Any) -> None:
        """Moves a 3×3 convolution at the full resolution, of a doubled map or of any other."""
        source = self._editor.producer(node.input[0], 'Resize')
        kernel = self._editor.constant(node.input[1])
        assert kernel is not None
        if source is not None and doubling(self._editor, source):
            self.replacements[id(source)] = []
            self.replacements[id(node)] = self._convolve_small(node, source.input[0], kernel)
        else:
            weights = self._constant(node, 'phases', _shift_by_phase(kernel))
            self._replace(
                node, 'Conv', node.input[0], weights, *self._biases(node),
                kernel_shape=(4, 4), strides=(2, 2), pads=(1,) * 4,
            )  # fmt: skip
        self._moved.update(node.output)

    def _convolve_small(self, node: Any, source: str, kernel: np.ndarray) -> list[Any]:
        """Convolves the small map: its inner part, and apart from it the rows and columns of the
        border, which have other kernels.
        """
        from onnx import helper

        nodes: list[Any] = []
        biases = self._biases(node)

        def add(kind: str, inputs: list[str], name: str, **options: Any) -> str:
            name = f'{node.name}_{name}'
            nodes.append(helper.make_node(kind, inputs, [name], name=name, **options))
            return name

        def cut(name: str, axis: int, part: str, suffix: str) -> str:
            side = self._editor.shape(source)[axis]
            start, end = {'first': (0, 2), 'inner': (0, side), 'last': (side - 2, side)}[part]
            bounds = [
                self._constant(node, f'{suffix}_{bound}', np.array([value], np.int64))
                for bound, value in (('start', start), ('end', end), ('axis', axis))
            ]
            return add('Slice', [name, *bounds], suffix) if part != 'inner' else name

        taps = {'first': _first_taps(), 'inner': _inner_taps(), 'last': _last_taps()}
        rows: dict[str, list[str]] = {part: [] for part in taps}
        strips = {part: cut(source, 2, part, f'{part}_rows') for part in taps}
        for row, column in itertools.product(taps, taps):
            name = f'{row}_{column}'
            values = _combine_taps(kernel, taps[row], taps[column])
            inputs = [cut(strips[row], 3, column, f'{name}_part')]
            inputs += [self._constant(node, f'{name}_kernel', values), *biases]
            rows[row].append(add('Conv', inputs, name, kernel_shape=values.shape[2:]))
        joined = [add('Concat', names, f'{row}_joined', axis=3) for row, names in rows.items()]
        return [*nodes, helper.make_node('Concat', joined, node.output, name=node.name, axis=2)]


# Tables of taps: [phase, tap of the 3 at the full resolution, tap of the small map]. The value is
# the share that a pixel of the small map has in the doubled one under the tap.


def _inner_taps() -> np.ndarray:
    """The small map's taps are those before, at and behind its pixel."""
    taps = np.zeros((2, 3, 3))
    for phase, tap in itertools.product(range(2), range(3)):
        place = phase + tap - 1  # in the doubled map, from twice the small one's pixel on
        pixel, odd = divmod(place, 2)
        taps[phase, tap, pixel + 1] += 3 / 4
        taps[phase, tap, pixel + (2 if odd else 0)] += 1 / 4
    return taps


def _first_taps() -> np.ndarray:
    """The first pixel and the second: before the first is padding, in the doubled map alone."""
    inner = _inner_taps()
    taps = inner[..., 1:].copy()
    taps[..., 0] += inner[..., 0]  # doubling repeats the border
    taps[0, 0] = 0  # convolving pads with zeros
    return taps


def _last_taps() -> np.ndarray:
    """The last but one pixel and the last."""
    return _first_taps()[::-1, ::-1, ::-1]


def _combine_taps(kernel: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Kernels [4·O, I, ., .] of the small map that give the four phases of a convolution."""
    phases = np.einsum('oiab,pau,qbv->pqoiuv', kernel.astype(np.float64), rows, columns)
    return phases.reshape(-1, *phases.shape[3:]).astype(np.float32)


def _shift_by_phase(kernel: np.ndarray) -> np.ndarray:
    """Kernels [4·O, I, 4, 4] of stride 2 that give the four phases of a 3×3 convolution."""
    phases = np.zeros((2, 2, *kernel.shape[:2], 4, 4), kernel.dtype)
    for row, column in itertools.product(range(2), range(2)):
        phases[row, column, :, :, row : row + 3, column : column + 3] = kernel
    return phases.reshape(-1, *phases.shape[3:])
