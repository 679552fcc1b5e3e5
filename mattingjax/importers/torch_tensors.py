"""Descriptions of the tensors in a PyTorch checkpoint, as its pickle gives them."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np

from mattingjax.errors import WeightsError

_MAX_DIMENSIONS = 8

DTYPES: dict[str, np.dtype] = {
    'DoubleStorage': np.dtype(np.float64),
    'FloatStorage': np.dtype(np.float32),
    'HalfStorage': np.dtype(np.float16),
    'BFloat16Storage': np.dtype(ml_dtypes.bfloat16),
    'LongStorage': np.dtype(np.int64),
    'IntStorage': np.dtype(np.int32),
    'ShortStorage': np.dtype(np.int16),
    'CharStorage': np.dtype(np.int8),
    'ByteStorage': np.dtype(np.uint8),
    'BoolStorage': np.dtype(np.bool_),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """A row of numbers, which lies elsewhere in the file.

    Attributes:
      kind: One of `DTYPES`, such as 'FloatStorage'.
      key: Its name in the file.
      numel: How many numbers it holds.
    """

    kind: str
    key: str
    numel: int

    @property
    def dtype(self) -> np.dtype:
        """The type of its numbers."""
        return DTYPES[self.kind]


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor, whose numbers lie in a storage.

    Attributes:
      storage: The storage of its numbers.
      offset: Position of its first number in the storage.
      size: Its shape.
      stride: Distance in the storage between neighbours along each axis.
    """

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def check_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """Makes the description of a tensor from what a pickle says, or raises an error.

    Args:
      storage: The storage.
      offset: Position of the first number, a whole number of at most 63 bits.
      size: The shape, a tuple of at most 8 such numbers.
      stride: The stride of each axis, a tuple of as many such numbers.

    Raises:
      WeightsError: A value is out of range, or there are too many dimensions.
      ValueError: A value has another type.
    """
    if not isinstance(storage, Storage):
        raise ValueError(f'expected a storage for a tensor, found a {kind_of(storage)}')
    for name, value in (('size', size), ('stride', stride)):
        if not isinstance(value, tuple):
            raise ValueError(f'expected a tuple for the {name} of a tensor')
        if len(value) > _MAX_DIMENSIONS:
            raise WeightsError(f'refused: a tensor of {len(value)} dimensions')
        if not all(isinstance(n, int) for n in value):
            raise ValueError(f'expected whole numbers for the {name} of a tensor')
    if not isinstance(offset, int) or len(size) != len(stride):
        raise WeightsError(f'impossible tensor: {len(size)} sizes, {len(stride)} strides')
    if not all(0 <= n < 2**63 for n in (offset, *size, *stride)):
        raise WeightsError('impossible tensor: its offset, sizes or strides are out of range')
    return Tensor(storage, int(offset), size, stride)


def kind_of(value: Any) -> str:
    """The name of a value's type in error messages: 'storage', 'tensor', 'dict'."""
    return type(value).__name__.removeprefix('_').lower()
