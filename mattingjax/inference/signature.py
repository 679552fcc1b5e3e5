"""What an exported network expects and gives: written by the exporter, read by the runtimes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from mattingjax.config.schema import Schema, from_json, parse_json, read_json
from mattingjax.errors import ArtefactError, MattingError
from mattingjax.images.preprocessing import Preprocessing
from mattingjax.inference.screening import MAX_PIXELS
from mattingjax.weights import MANIFEST_FILE

DTYPES, COLOUR_ORDERS = ('float32', 'uint8'), ('RGB', 'BGR')  # of inputs
MAX_SIDE = math.isqrt(MAX_PIXELS)  # of a square input
TOLERANCE = 5e-3  # how far half precision may stray beyond [0, 1]


@dataclasses.dataclass(frozen=True)
class InputEncoding:
    """How photos are encoded as the input of an artefact.

    Attributes:
      dtype: Type of the input, 'float32' or 'uint8'.
      colour_order: Order of its channels, 'RGB' or 'BGR'.
      mean: Subtracted from red, green and blue in [0, 255]; zeros where the artefact does it.
      std: Divisors of the differences; ones where the artefact does it.
    """

    dtype: str
    colour_order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def _order(self) -> int:
        return -1 if self.colour_order == 'BGR' else 1

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Encodes photos, float32 [..., 3] RGB in [0, 255], as the artefact takes them."""
        if any(self.mean) or set(self.std) != {1}:
            images = (images - np.asarray(self.mean)) / np.asarray(self.std)
        if self.dtype == 'uint8':
            images = np.clip(np.round(images), 0, 255)
        return np.ascontiguousarray(images[..., :: self._order], self.dtype)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Makes photos, uint8 [..., 3] RGB, of what `encode` returned."""
        pixels = values[..., :: self._order] * np.asarray(self.std) + np.asarray(self.mean)
        return np.round(np.clip(pixels, 0, 255)).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Signature(Schema):
    """How to feed an artefact.

    Attributes:
      input_name: Name of the input node, [N, H, W, 3].
      output_name: Name of the output node, alpha [N, H, W, 1], float32 in [0, 1].
      shape: Shape of the input, [N, H, W, 3]; 0 for a side that may have any size.
      dtype: Type of the input, 'float32' or 'uint8'.
      scaling_inside: Whether the input is in [0, 255]. If not, it must be normalised before, as
        `preprocessing` says.
      colour_order: Order of the input's channels, 'RGB' or 'BGR'.
      resize_inside: Whether photos of any size go in and the artefact resizes them.
      input_size: Pixels of the network's short side or of both sides (see `ModelConfig`).
      preprocessing: How a photo becomes the network's input.
    """

    input_name: str
    output_name: str
    shape: tuple[int, int, int, int]
    dtype: str
    scaling_inside: bool
    colour_order: str
    resize_inside: bool
    input_size: int
    preprocessing: Preprocessing

    def validate(self) -> None:
        self.require(self.dtype in DTYPES, 'dtype', "'float32' or 'uint8'")
        self.require(self.colour_order in COLOUR_ORDERS, 'colour_order', "'RGB' or 'BGR'")
        batch, height, width, channels = self.shape
        possible = all(0 <= size <= MAX_PIXELS for size in self.shape) and channels == 3
        pixels = max(1, batch) * max(1, height) * max(1, width)
        expected = f'[N, H, W, 3], at least 0 each and {MAX_PIXELS} pixels at most'
        self.require(possible and pixels <= MAX_PIXELS, 'shape', expected)
        self.require(1 <= self.input_size <= MAX_SIDE, 'input_size', f'1 to {MAX_SIDE} pixels')

    def encoding(self, dtype: str | None = None) -> InputEncoding:
        """How photos become the input; plain pixels if `dtype` is 'uint8'.

        Args:
          dtype: Type of the input, 'float32' or 'uint8'; the artefact's own if None. With 'uint8',
            Ascend's AIPP does whatever scaling the graph leaves out.
        """
        dtype = dtype or self.dtype
        if self.scaling_inside or dtype == 'uint8':
            return InputEncoding(dtype, self.colour_order, (0.0,) * 3, (1.0,) * 3)
        preprocessing = self.preprocessing
        return InputEncoding(dtype, self.colour_order, preprocessing.mean, preprocessing.std)


def read_signature(path: Path | str, metadata: str | None = None) -> Signature:
    """The signature of an artefact: from itself, or from the manifest beside it.

    Args:
      path: The artefact.
      metadata: The artefact's own metadata, JSON; None if it has none.

    Raises:
      ArtefactError: Neither holds a signature, or it is damaged.
    """
    path = Path(path)
    manifest = path.parent / MANIFEST_FILE
    if metadata is not None:
        where = f'{path}: its metadata'
        try:
            content = parse_json(metadata)
        except MattingError as error:
            raise ArtefactError(f'{where}: {error}') from error
    elif manifest.is_file():
        where = f'{manifest}: {path.name}'
        try:
            entries = read_json(manifest)
        except MattingError as error:
            raise ArtefactError(f'{manifest}: {error}') from error
        artefacts = entries.get('artefacts') if isinstance(entries, dict) else None
        content = artefacts.get(path.name) if isinstance(artefacts, dict) else None
    else:
        hint = ''
        if path.suffix == '.onnx':
            hint = "; of someone else's MODNet, mattingjax import-weights makes a checkpoint"
        raise ArtefactError(
            f'{path}: expected a {MANIFEST_FILE} beside it, as mattingjax export writes it{hint}'
        )
    if not isinstance(content, dict) or 'signature' not in content:
        raise ArtefactError(f'{where}: expected a signature, found none')
    try:
        return from_json(f'{where}: signature', content['signature'], Signature)
    except MattingError as error:
        raise ArtefactError(str(error)) from error


def check_numbers(path: Path | str, output: np.ndarray) -> None:
    """Raises ArtefactError unless an artefact's output is of finite floating-point numbers."""
    found = f'{output.dtype} {list(output.shape)}'
    if not np.issubdtype(output.dtype, np.floating) or not output.size:
        raise ArtefactError(f'{path}: expected an output of floating-point numbers, found {found}')
    if not np.isfinite(output).all():
        count = output.size - np.count_nonzero(np.isfinite(output))
        raise ArtefactError(
            f'{path}: expected an output of finite numbers, found {found} with {count} that are '
            'NaN or infinite'
        )


def check_alpha(path: Path | str, output: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Raises ArtefactError unless an artefact's output is what its signature promises.

    Args:
      path: The artefact.
      output: The output of the network.
      shape: The expected shape, [N, H, W, 1]; None for a side that may have any size.
    """
    check_numbers(path, output)
    fits = output.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, output.shape, strict=True)
    )
    if not fits:
        expected = ['any' if size is None else size for size in shape]
        raise ArtefactError(f'{path}: expected alpha {expected}, found {list(output.shape)}')
    low, high = float(output.min()), float(output.max())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        raise ArtefactError(f'{path}: expected alpha in [0, 1], found {low:g} to {high:g}')
