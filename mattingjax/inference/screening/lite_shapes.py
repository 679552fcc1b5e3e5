"""The shape of what each operation of a LiteRT model makes of its inputs, and its options.

LiteRT's kernels trust what the file says: a stride of 0 is a division by zero, which ends the
process. So every option that a shape follows from is looked at. Numbers of options are those of
tensorflow/compiler/mlir/lite/schema/schema.fbs. The functions raise ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mattingjax.inference.screening.flat_tables import Table

TYPES = {0: 'float32', 1: 'float16', 2: 'int32', 9: 'int8'}
Shape = tuple[int, ...]
_MAX_STEP = 2**10  # of strides and dilations
_ACTIVATIONS = (0, 1, 2, 3)  # none, ReLU, within ±1, ReLU6


class Tensor(NamedTuple):
    """A tensor of a LiteRT model.

    Attributes:
      name: Its name.
      shape: The sizes of its sides.
      dtype: The type of its elements, one of `TYPES`.
      data: Its elements, [N], if it is a constant, else None.
      scales: What integers are multiplied by, [1], or [channels] along `axis`; empty for others.
      zero_points: The integers that mean 0, as many.
      axis: The side along which `scales` differ.
    """

    name: str
    shape: Shape
    dtype: str
    data: np.ndarray | None
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int


class Options:
    """The options of an operation.

    Args:
      table: Where they stand; None for an operation without any.
    """

    def __init__(self, table: Table | None):
        self._table = table

    def number(self, slot: int, code: str = 'i', default: int = 0) -> int:
        return default if self._table is None else self._table.number(slot, code, default)

    def steps(self, *slots: int) -> list[int]:
        """Strides or dilations, which must be positive."""
        steps = [self.number(slot) for slot in slots]
        if not all(1 <= step <= _MAX_STEP for step in steps):
            raise ValueError(f'expected steps of 1 to {_MAX_STEP}, found {steps}')
        return steps

    def check_activation(self, slot: int) -> None:
        if (found := self.number(slot, 'b')) not in _ACTIVATIONS:
            raise ValueError(f'expected an activation of {_ACTIVATIONS}, found {found}')


Inputs = Sequence[Tensor]


def keep_shape(inputs: Inputs, options: Options) -> Shape:
    """The shape of what changes each element by itself."""
    return inputs[0].shape


def broadcast(inputs: Inputs, options: Options) -> Shape:
    """The shape of arithmetic of two tensors, with an activation."""
    options.check_activation(0)
    return np.broadcast_shapes(*(tensor.shape for tensor in inputs))


def _require(fits: bool, expected: str, *inputs: Tensor) -> None:
    if not fits:
        shapes = ' and '.join(str(list(tensor.shape)) for tensor in inputs)
        raise ValueError(f'expected {expected}, found {shapes}')


def _window(
    options: Options, sides: Shape, taps: Shape, steps: Sequence[int], dilations: Sequence[int]
) -> list[int]:
    """Height and width of what a window gives that goes over an image."""
    same = {0: True, 1: False}.get(options.number(0, 'b'))
    if same is None:
        raise ValueError('expected a padding of 0 or 1')
    spans = [(tap - 1) * dilation for tap, dilation in zip(taps, dilations, strict=True)]
    return [
        -(-(side - (0 if same else span)) // step)
        for side, span, step in zip(sides, spans, steps, strict=True)
    ]


def convolve(inputs: Inputs, options: Options) -> Shape:
    """The shape of a convolution: an image, a kernel [out, H, W, in] and a bias."""
    image, kernel, *_ = inputs
    _require(len(image.shape) == len(kernel.shape) == 4, 'four sides each', image, kernel)
    _require(kernel.shape[3] == image.shape[3], 'as many channels', image, kernel)
    _check_bias(inputs, kernel.shape[0])
    options.check_activation(3)
    steps, dilations = options.steps(2, 1), _dilations(options, 5, 4)
    sides = _window(options, image.shape[1:3], kernel.shape[1:3], steps, dilations)
    return (image.shape[0], *sides, kernel.shape[0])


def convolve_depthwise(inputs: Inputs, options: Options) -> Shape:
    """The shape of a depthwise convolution: an image, a kernel [1, H, W, out] and a bias."""
    image, kernel, *_ = inputs
    _require(len(image.shape) == len(kernel.shape) == 4, 'four sides each', image, kernel)
    channels = image.shape[3] * options.number(3)
    _require(kernel.shape[::3] == (1, channels), f'a kernel [1, H, W, {channels}]', image, kernel)
    _check_bias(inputs, channels)
    options.check_activation(4)
    steps, dilations = options.steps(2, 1), _dilations(options, 6, 5)
    sides = _window(options, image.shape[1:3], kernel.shape[1:3], steps, dilations)
    return (image.shape[0], *sides, channels)


def _dilations(options: Options, *slots: int) -> list[int]:
    found = [options.number(slot, default=1) for slot in slots]
    if not all(1 <= step <= _MAX_STEP for step in found):
        raise ValueError(f'expected dilations of 1 to {_MAX_STEP}, found {found}')
    return found


def _check_bias(inputs: Inputs, channels: int) -> None:
    for bias in inputs[2:]:
        _require(bias.shape == (channels,), f'a bias [{channels}]', bias)


def pool(inputs: Inputs, options: Options) -> Shape:
    """The shape of a pool over an image."""
    (image,) = inputs
    _require(len(image.shape) == 4, 'four sides', image)
    options.check_activation(5)
    taps = pool_window(options)
    _require(taps[0] <= image.shape[1] and taps[1] <= image.shape[2], 'a smaller window', image)
    sides = _window(options, image.shape[1:3], taps, options.steps(2, 1), (1, 1))
    return (image.shape[0], *sides, image.shape[3])


def pool_window(options: Options) -> Shape:
    """Height and width of the window of a pool."""
    return tuple(options.steps(4, 3))


def resize(inputs: Inputs, options: Options) -> Shape:
    """The shape of an image that is resized to a height and a width."""
    image, size = inputs
    _require(len(image.shape) == 4 and size.shape == (2,), 'an image and two numbers', *inputs)
    return (image.shape[0], *_integers(size), image.shape[3])


def pad(inputs: Inputs, options: Options) -> Shape:
    """The shape of a padded tensor."""
    image, pads = inputs
    _require(pads.shape == (len(image.shape), 2), 'two numbers for each side', *inputs)
    numbers = _integers(pads)
    if min(numbers, default=0) < 0:
        raise ValueError(f'expected pads of at least 0, found {min(numbers)}')
    return tuple(
        side + before + after
        for side, before, after in zip(image.shape, numbers[::2], numbers[1::2], strict=True)
    )


def reduce(inputs: Inputs, options: Options) -> Shape:
    """The shape of a mean over some sides."""
    image, axes = inputs
    rank = len(image.shape)
    _require(0 < math.prod(axes.shape) <= rank, 'axes that it has, each once', *inputs)
    numbers = {axis % rank for axis in _integers(axes) if -rank <= axis < rank}
    _require(len(numbers) == math.prod(axes.shape), 'axes that it has, each once', *inputs)
    keep = options.number(0, 'B')
    sides = [1 if axis in numbers else side for axis, side in enumerate(image.shape)]
    return tuple(side for i, side in enumerate(sides) if keep or i not in numbers)


def concatenate(inputs: Inputs, options: Options) -> Shape:
    """The shape of tensors that are joined along one side."""
    if found := options.number(1, 'b'):
        raise ValueError(f'expected no activation, found {found}')
    first, axis = inputs[0].shape, options.number(0)
    if not -len(first) <= axis < len(first):
        raise ValueError(f'expected an axis of {list(first)}, found {axis}')
    axis %= len(first)
    others = {tensor.shape[:axis] + tensor.shape[axis + 1 :] for tensor in inputs}
    ranks = {len(tensor.shape) for tensor in inputs}
    _require(len(others) == len(ranks) == 1, f'shapes that differ in side {axis} alone', *inputs)
    total = sum(tensor.shape[axis] for tensor in inputs)
    return (*first[:axis], total, *first[axis + 1 :])


def take_part(inputs: Inputs, options: Options) -> Shape:
    """The shape of a part of a tensor."""
    image, starts, sizes = inputs
    rank = (len(image.shape),)
    _require(starts.shape == sizes.shape == rank, 'a number for each side', *inputs)
    shape = []
    for side, start, size in zip(image.shape, _integers(starts), _integers(sizes), strict=True):
        taken = side - start if size == -1 else size
        if not (0 <= start < side and 1 <= taken <= side - start):
            raise ValueError(f'expected a part of {side}, found {size} from {start} on')
        shape.append(taken)
    return tuple(shape)


def take_in_steps(inputs: Inputs, options: Options) -> Shape:
    """The shape of a part of a tensor that is taken in steps forward."""
    image, *bounds = inputs
    rank = len(image.shape)
    _require(all(bound.shape == (rank,) for bound in bounds), 'a number for each side', *inputs)
    no_start, no_end, ellipsis, new_axis, shrink = (options.number(slot) for slot in range(5))
    if ellipsis or new_axis or options.number(5, 'B') or min(_integers(bounds[2])) < 1:
        raise ValueError('expected steps forward over the sides that it has')
    parts: list[slice | int] = []
    for i, (start, end, step) in enumerate(zip(*map(_integers, bounds), strict=True)):
        if shrink >> i & 1:
            parts.append(start)
        else:
            parts.append(
                slice(None if no_start >> i & 1 else start, None if no_end >> i & 1 else end, step)
            )
    return np.broadcast_to(np.int8(0), image.shape)[tuple(parts)].shape


def _integers(tensor: Tensor) -> list[int]:
    assert tensor.data is not None, 'check_operation has seen to it'
    return tensor.data.tolist()
