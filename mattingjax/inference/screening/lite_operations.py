"""The operations that a LiteRT model may have, and the types that each computes with.

Nothing is run but what is known here. Numbers are those of
tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mattingjax.inference.screening import lite_shapes as shapes
from mattingjax.inference.screening.lite_shapes import Inputs, Options, Shape, Tensor


class Kind(NamedTuple):
    """A kind of operation.

    Attributes:
      name: Its name in LiteRT.
      counts: How many inputs it may have.
      shape: Function of its inputs and options that gives the shape of its output.
      options: The number of the type of its options; 0 if it has none that matter.
      sized: How many of the last inputs are constants of int32, which say how large things are.
      integers: Whether it may compute in int8.
    """

    name: str
    counts: tuple[int, ...]
    shape: Callable[[Inputs, Options], Shape]
    options: int = 0
    sized: int = 0
    integers: bool = True


KINDS = {
    0: Kind('ADD', (2,), shapes.broadcast, 11),
    1: Kind('AVERAGE_POOL_2D', (1,), shapes.pool, 5),
    2: Kind('CONCATENATION', tuple(range(1, 65)), shapes.concatenate, 10),
    3: Kind('CONV_2D', (3,), shapes.convolve, 1),
    4: Kind('DEPTHWISE_CONV_2D', (3,), shapes.convolve_depthwise, 2),
    6: Kind('DEQUANTIZE', (1,), shapes.keep_shape),
    14: Kind('LOGISTIC', (1,), shapes.keep_shape),
    17: Kind('MAX_POOL_2D', (1,), shapes.pool, 5),
    18: Kind('MUL', (2,), shapes.broadcast, 21),
    19: Kind('RELU', (1,), shapes.keep_shape),
    21: Kind('RELU6', (1,), shapes.keep_shape),
    23: Kind('RESIZE_BILINEAR', (2,), shapes.resize, 15, 1),
    25: Kind('SOFTMAX', (1,), shapes.keep_shape, 9, integers=False),
    34: Kind('PAD', (2,), shapes.pad, 0, 1),
    40: Kind('MEAN', (2,), shapes.reduce, 27, 1),
    41: Kind('SUB', (2,), shapes.broadcast, 28),
    42: Kind('DIV', (2,), shapes.broadcast, 29, integers=False),
    45: Kind('STRIDED_SLICE', (4,), shapes.take_in_steps, 32, 3),
    65: Kind('SLICE', (3,), shapes.take_part, 0, 2),
    76: Kind('RSQRT', (1,), shapes.keep_shape, integers=False),
    97: Kind('RESIZE_NEAREST_NEIGHBOR', (2,), shapes.resize, 74, 1),
    99: Kind(
        'SQUARED_DIFFERENCE', (2,), lambda i, _: shapes.broadcast(i, Options(None)), integers=False
    ),
    114: Kind('QUANTIZE', (1,), shapes.keep_shape),
}


def check_operation(
    kind: Kind, inputs: Inputs, outputs: Inputs, options: Options, options_type: int
) -> None:
    """Raises ValueError unless an operation can be run on its inputs, and gives its outputs.

    Args:
      kind: One of `KINDS`.
      inputs: The tensors that it reads.
      outputs: The tensors that it makes.
      options: Its options.
      options_type: The number of their type.
    """
    if kind.options and options_type != kind.options:
        raise ValueError(f'expected options of type {kind.options}, found {options_type}')
    if len(inputs) not in kind.counts or len(outputs) != 1:
        raise ValueError(f'{len(inputs)} inputs and {len(outputs)} outputs')
    split = len(inputs) - kind.sized
    for tensor in inputs[split:]:
        if tensor.data is None or tensor.dtype != 'int32':
            raise ValueError(f'{tensor.name}: expected a constant of int32')
    _check_types(kind, inputs[:split], outputs[0])
    if (shape := kind.shape(inputs, options)) != outputs[0].shape:
        raise ValueError(f'expected an output of {list(shape)}, found {list(outputs[0].shape)}')


def _check_types(kind: Kind, inputs: Inputs, output: Tensor) -> None:
    found = [tensor.dtype for tensor in (*inputs, output)]
    if kind.name == 'QUANTIZE':
        fits = found in (['float32', 'int8'], ['int8', 'int8'])
    elif kind.name == 'DEQUANTIZE':
        fits = found in (['int8', 'float32'], ['float16', 'float32'])
    else:
        bias = 'int32' if found[0] == 'int8' else 'float32'
        expected = [found[0]] * len(found)
        if kind.name in CONVOLUTIONS:
            expected[2] = bias
        fits = found == expected and found[0] in (('float32', 'int8')[: 1 + kind.integers])
    if not fits:
        raise ValueError(f'it does not compute with {", ".join(found)}')
    if 'int8' in found:
        _check_scales(kind, inputs, output)


def _check_scales(kind: Kind, inputs: Inputs, output: Tensor) -> None:
    """Raises ValueError for scales that kernels, or what prepares them, would not survive."""
    weights: Inputs = ()
    if kind.name in CONVOLUTIONS:
        inputs, weights = inputs[:1], inputs[1:]
    data = [tensor for tensor in (*inputs, output) if tensor.dtype == 'int8']
    for tensor in data:
        if len(tensor.scales) != 1:
            raise ValueError(f'{tensor.name}: expected one scale, found {len(tensor.scales)}')
    scales = [float(tensor.scales[0]) for tensor in data]
    if max(scales) > _MAX_RATIO * min(scales):
        raise ValueError(f'expected scales of one order, found {min(scales):g} to {max(scales):g}')
    if weights:
        _check_weights(kind, weights, scales[0] / scales[1])
    meanings = {(scale, *tensor.zero_points) for scale, tensor in zip(scales, data, strict=True)}
    if kind.name in _MOVING and len(meanings) > 1:
        raise ValueError('expected one scale and zero for all that it reads and makes')


def _check_weights(kind: Kind, weights: Inputs, ratio: float) -> None:
    """Raises ValueError unless a convolution in int8 can be prepared.

    Args:
      kind: One of `CONVOLUTIONS`.
      weights: Its kernel and its bias.
      ratio: The scale of what it reads divided by that of what it makes.
    """
    for tensor in weights:
        if not len(tensor.scales):
            raise ValueError(f'{tensor.name}: expected scales')
        if tensor.zero_points.any():
            raise ValueError(f'{tensor.name}: expected weights around 0')
    kernel, axis = weights[0], CONVOLUTIONS[kind.name]
    if len(kernel.scales) > 1 and kernel.axis != axis:
        raise ValueError(f'{kernel.name}: expected scales along {axis}, found {kernel.axis}')
    if (factor := ratio * float(kernel.scales.max())) >= _MAX_FACTOR:
        raise ValueError(f'expected a factor below {_MAX_FACTOR} for its sums, found {factor:g}')


# The side of their weights that channels lie along.
CONVOLUTIONS = {'CONV_2D': 0, 'DEPTHWISE_CONV_2D': 3}
# Operations that give what they read, or something between, so that nothing is scaled anew.
_MOVING = frozenset(
    (
        'AVERAGE_POOL_2D', 'CONCATENATION', 'MAX_POOL_2D', 'PAD', 'RESIZE_BILINEAR',
        'RESIZE_NEAREST_NEIGHBOR', 'SLICE', 'STRIDED_SLICE',
    )
)  # fmt: skip
_MAX_RATIO = 2**16  # kernels of additions end the process from 2¹⁹ on
_MAX_FACTOR = 2**7  # XNNPACK refuses 2⁸, and LiteRT then frees memory twice
