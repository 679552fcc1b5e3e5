"""Reads the .bin files of a preparation, and checks that they are what was written."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np

from exporters.bins.index import INDEX_FILE, Item, Layout
from mattingjax.errors import MattingError
from mattingjax.process.reading import read_file


def load_input(folder: Path, item: Item, layout: Layout) -> np.ndarray:
    """Reads an input, [1, H, W, 3] of the layout's type; raises MattingError if it is damaged."""
    return _load(
        folder / item.image_file, item.image_sha256, layout.input_shape, layout.input_dtype
    )


def load_mask(folder: Path, item: Item, layout: Layout) -> np.ndarray:
    """Reads a mask, float32 [1, H, W, 1] in [0, 1]; raises MattingError if it is damaged."""
    path = folder / item.mask_file
    mask = _load(path, item.mask_sha256, layout.mask_shape, 'float32')
    if mask.min() < 0 or mask.max() > 1:
        raise MattingError(
            f'{path}: expected a mask in [0, 1], found {mask.min():g} to {mask.max():g}'
        )
    return mask


def _load(path: Path, sha256: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return read_values(path, shape, np.dtype(dtype), f'as {INDEX_FILE} says', sha256)


def read_values(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, origin: str, sha256: str | None = None
) -> np.ndarray:
    """Reads a .bin file.

    Args:
      path: The file.
      shape: Shape of its values.
      dtype: Type of its values.
      origin: Where shape and type come from, for messages.
      sha256: SHA-256 of what was written to it; None if that is unknown.

    Raises:
      MattingError: It cannot be read, has another size or other content, or holds NaN or infinity.
    """
    size = math.prod(shape) * dtype.itemsize
    try:
        found = path.stat().st_size
        content = read_file(path) if found == size else b''
    except OSError as error:
        raise MattingError(f'{path}: cannot be read ({error.strerror})') from error
    if found != size:
        raise MattingError(
            f'{path}: expected {size} bytes ({dtype} {list(shape)}, {origin}), found {found}: '
            'damaged, or for another model'
        )
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise MattingError(
            f'{path}: not what the {INDEX_FILE} beside its folder tells of (another SHA-256): '
            'damaged, or of another preparation'
        )
    values = np.frombuffer(content, dtype).reshape(shape)
    if not np.isfinite(values).all():
        raise MattingError(f'{path}: holds values that are no finite numbers: damaged')
    return values


def input_as_photo(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Makes a photo, uint8 [H, W, 3], of an input, [1, H, W, 3]."""
    return layout.encoding.decode(values[0])
