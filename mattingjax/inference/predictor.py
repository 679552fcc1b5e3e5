"""From a photo to its alpha at the photo's own size, whatever runs the network."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np

from mattingjax.checkpoints import DEFAULT_WEIGHTS, Checkpoint
from mattingjax.errors import ImageError, MattingError
from mattingjax.images import as_image, read_size, resize
from mattingjax.images.decoding import Source
from mattingjax.inference.runtimes import JaxRuntime, Runtime, create_runtime
from mattingjax.networks import Preprocessing

MIN_SIDE, MAX_ASPECT = 16, 16


def network_size(
    height: int, width: int, input_size: int, preprocessing: Preprocessing
) -> tuple[int, int]:
    """The size at which a network sees a photo.

    With 'exact' preprocessing it is the input size. With 'short_side' it is MODNet's own rule: a
    photo that is smaller than the input size altogether, or larger altogether, is scaled so that
    its short side has the input size, any other keeps its size; then both sides are rounded down
    to a multiple of the network's stride.

    Args:
      height: The photo's height in pixels.
      width: The photo's width in pixels.
      input_size: The network's input size in pixels.
      preprocessing: How the network wants photos to be resized.

    Returns:
      Height and width in pixels.

    Raises:
      ImageError: The photo is too small or too thin for a matte.
    """
    multiple = preprocessing.multiple_of
    short, long = sorted((height, width))
    if short < MIN_SIDE or long > MAX_ASPECT * short:
        raise ImageError(
            f'expected a photo of at least {MIN_SIDE} pixels a side and no thinner than '
            f'1:{MAX_ASPECT}, got {width}x{height}'
        )
    if preprocessing.resize == 'exact':
        return input_size, input_size
    new_short, new_long = short, long
    if long < input_size or short > input_size:
        new_short, new_long = input_size, int(long / short * input_size)
    new_short, new_long = (side - side % multiple for side in (new_short, new_long))
    if new_short < multiple:
        raise ImageError(
            f'expected a photo whose short side is at least {multiple} pixels where the long one '
            f'is {input_size} or more, got {width}x{height}'
        )
    return (new_short, new_long) if height <= width else (new_long, new_short)


def resize_photo(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a photo, [H, W, 3] in [0, 255], to the size in pixels at which a network sees it.

    By area whether it shrinks or grows, as the original MODNet does it; returns float32.
    """
    return resize(image.astype(np.float32), height, width, enlarge=cv2.INTER_AREA)


class Predictor:
    """Computes the alpha of photos of any size; threads may share one.

    Args:
      runtime: The loaded network.
    """

    def __init__(self, runtime: Runtime):
        self._runtime = runtime
        self._one_at_a_time = threading.Lock()  # not every runtime can run twice at a time

    def __repr__(self) -> str:
        runtime = self._runtime
        return f'Predictor({type(runtime).__name__}, input size {runtime.input_size})'

    def describe(self) -> dict[str, Any]:
        """Describes the network, for a report.

        Returns:
          JSON types: where it was loaded from, the SHA-256 of its content, the runtime, and the
          input size in pixels; of an artefact that has one also the fixed size, height x width.
        """
        return self._runtime.describe()

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a photo, by the rule of the function `network_size`.

        An artefact of a fixed size sees every photo at that size, one that resizes photos itself
        at the photo's own.

        Args:
          height: The photo's height in pixels.
          width: The photo's width in pixels.

        Returns:
          Height and width in pixels.

        Raises:
          ImageError: The photo is too small or too thin for a matte.
        """
        runtime = self._runtime
        size = network_size(height, width, runtime.input_size, runtime.preprocessing)
        return (height, width) if runtime.resizes else runtime.fixed_size or size

    def __call__(self, image: Source, /) -> np.ndarray:
        """Computes the alpha of one photo.

        Args:
          image: uint8 [H, W, 3] RGB in [0, 255], or anything else that `load_image` takes: an array
            of JAX or PyTorch, a PIL image, a file's path or its bytes.

        Returns:
          float32 [H, W] in [0, 1].

        Raises:
          ImageError: `image` is no readable picture, or is too small or too thin.
        """
        image = as_image(image)
        height, width = image.shape[:2]
        pixels = resize_photo(image, *self.network_size(height, width))
        with self._one_at_a_time:
            alpha = self._runtime(pixels[None])[0, :, :, 0]
        return np.clip(resize(alpha, height, width), 0, 1)

    @contextlib.contextmanager
    def preparing(self, paths: Iterable[Path]) -> Iterator[None]:
        """Prepares the network for photos that will come: JAX compiles once for each size.

        While the block runs, another thread reads the sizes of the photos from their headers and
        compiles for one size after the other. It passes over photos that cannot be read.

        Args:
          paths: The photos, in the order in which they will be matted.
        """
        stop = threading.Event()

        def prepare() -> None:
            for path in paths:
                if stop.is_set():
                    return
                with contextlib.suppress(MattingError):
                    self._runtime.prepare(*self.network_size(*read_size(path)))

        with ThreadPoolExecutor(1) as pool:
            pool.submit(prepare)
            try:
                yield
            finally:
                stop.set()


def create_predictor(
    path_or_name: Path | str = DEFAULT_WEIGHTS,
    runtime: str | None = None,
    *,
    input_size: int | None = None,
) -> Predictor:
    """Loads a network for prediction.

    Args:
      path_or_name: A checkpoint directory, the name of weights that ship with the package, or an
        artefact of `exporters.export` (`.xml`, `.onnx` or `.pb`); by default the best weights that
        ship.
      runtime: What runs the network: 'jax' for a checkpoint, 'openvino', 'onnxruntime' or
        'tensorflow' for an artefact; if None, the one that suits the path.
      input_size: The input size in pixels at which the network is used, a multiple of its stride;
        if None, its own. The function `network_size` tells what it means. An artefact that has a
        fixed size, or that resizes photos itself, takes no other.

    Returns:
      A callable: uint8 [H, W, 3] RGB → alpha, float32 [H, W] in [0, 1], at the photo's own size.

    Raises:
      MattingError: `path_or_name` is no path, the runtime is unknown or cannot run the file, or
        the network cannot be used at that input size.
      ArtefactError: The artefact is missing or damaged, or nothing says how to feed it.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ImportError: The runtime is not installed.
    """
    if not isinstance(path_or_name, str | os.PathLike):
        raise MattingError(
            'path_or_name: expected a checkpoint directory, the name of weights that ship or an '
            f'artefact, got {path_or_name!r}'
        )
    return Predictor(create_runtime(path_or_name, runtime, input_size))


def compare_alphas(
    checkpoint: Checkpoint, packed: Checkpoint, images: Iterable[np.ndarray]
) -> tuple[float, float]:
    """How far the two networks' alphas differ, both at the size of the packed one.

    Args:
      checkpoint: The network before packing.
      packed: The network that `pack_checkpoint` made of it.
      images: Photos, uint8 [H, W, 3].

    Returns:
      The mean absolute difference over all photos, and the largest, in [0, 1].
    """
    before, after = (
        Predictor(JaxRuntime(Checkpoint(packed.config, jax.tree.map(np.float32, one.variables))))
        for one in (checkpoint, packed)
    )
    differences = [np.abs(before(image) - after(image)) for image in images]
    means, largest = ([f(one) for one in differences] for f in (np.mean, np.max))
    return float(np.mean(means)), float(max(largest))
