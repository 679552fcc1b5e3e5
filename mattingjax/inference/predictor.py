"""From a photo to its alpha at the photo's own size, whatever runs the network."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.errors import ImageError, MattingError
from mattingjax.images import Photo, load_photo, read_size, resize, to_srgb
from mattingjax.images.decoding import Source
from mattingjax.images.preprocessing import network_size, resize_photo
from mattingjax.inference.runtimes import Runtime, create_runtime
from mattingjax.inference.screening import MAX_PIXELS
from mattingjax.inference.sessions import SessionOptions
from mattingjax.weights import DEFAULT_WEIGHTS

MOST_PARALLEL = 64


class Predictor:
    """Computes the alpha of photos of any size; threads may share one.

    Args:
      runtime: The loaded network.
    """

    def __init__(self, runtime: Runtime):
        self._runtime = runtime
        self._free = threading.Semaphore(runtime.parallel)  # not every runtime can run twice

    def __repr__(self) -> str:
        runtime = self._runtime
        return f'Predictor({type(runtime).__name__}, input size {runtime.input_size})'

    def describe(self) -> dict[str, Any]:
        """Describes the network, for a report.

        Returns:
          JSON types: where it was loaded from, the SHA-256 of its content, the runtime, the device,
          the precision that it computes in and the input size in pixels; of a checkpoint's artefact
          also the file and its own SHA-256; of an artefact that has one also the fixed size, height
          x width.
        """
        return self._runtime.describe()

    def describe_runtime(self) -> str:
        """What runs the network, and on what: 'onnxruntime on CPU', 'openvino on CPU in bf16'."""
        runtime = self._runtime
        precision = '' if runtime.precision == 'f32' else f' in {runtime.precision}'
        return f'{runtime.name} on {runtime.device}{precision}'

    @property
    def parallel(self) -> int:
        """How many photos the network computes at once, for as many threads that ask."""
        return self._runtime.parallel

    @property
    def compiles(self) -> bool:
        """Whether each new size of input is compiled first, which takes long: JAX does."""
        return self._runtime.compiles

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
          ImageError: The photo is too small or too thin for a matte, or the network would see it
            with more than `MAX_PIXELS`.
        """
        runtime = self._runtime
        size = network_size(height, width, runtime.input_size, runtime.preprocessing)
        seen = (height, width) if runtime.resizes else runtime.fixed_size or size
        if math.prod(seen) > MAX_PIXELS and not self.compiles:
            raise ImageError(
                f'expected a photo that the network sees with at most {MAX_PIXELS} pixels, got '
                f'{width}x{height}, which it would see at {seen[1]}x{seen[0]}'
            )
        return seen

    def __call__(self, image: Source | Photo, /, *, refine: bool = False) -> np.ndarray:
        """Computes the alpha of one photo.

        Args:
          image: uint8 [H, W, 3] RGB in [0, 255], or anything else that `load_image` takes: an array
            of JAX or PyTorch, a PIL image, a file's path or its bytes. The network sees it in sRGB
            if it has another colour profile. A `Photo` that was decoded before has it too.
          refine: Whether edges are drawn anew at the photo's own resolution, by `refine_alpha`.

        Returns:
          float32 [H, W] in [0, 1].

        Raises:
          ImageError: `image` is no readable picture, or is too small or too thin, or the network
            would see it with more than `MAX_PIXELS`.
        """
        photo = image if isinstance(image, Photo) else load_photo(image, 'image')
        height, width = photo.pixels.shape[:2]
        pixels = resize_photo(photo.pixels, *self.network_size(height, width))
        alpha = self.run(to_srgb(pixels, photo.icc_profile))
        alpha = np.clip(resize(alpha, height, width), 0, 1)
        return self.refine(photo, alpha) if refine else alpha

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Runs the network alone, on a picture that has the size at which it sees it.

        Args:
          pixels: sRGB in [0, 255], float32 [h, w, 3], of the size that `network_size` gives.

        Returns:
          alpha, float32 [h, w] in [0, 1].
        """
        with self._free:
            return self._runtime(pixels[None])[0, :, :, 0]

    def refine(self, photo: Photo, alpha: np.ndarray) -> np.ndarray:
        """Draws the edges of an alpha anew, at the photo's own resolution.

        Args:
          photo: The photo, its pixels [H, W, 3].
          alpha: The alpha that this predictor gave for it, float32 [H, W] in [0, 1].

        Returns:
          float32 [H, W] in [0, 1], as `refine_alpha` makes it.
        """
        # scipy is not imported before it is needed.
        from mattingjax.inference.refinement import refine_alpha

        # Where the runtime resizes photos itself, `self.network_size` is the photo's own.
        runtime, (height, width) = self._runtime, alpha.shape
        seen = runtime.fixed_size or network_size(
            height, width, runtime.input_size, runtime.preprocessing
        )
        return refine_alpha(photo.pixels, alpha, seen)

    @contextlib.contextmanager
    def preparing(self, paths: Iterable[Path]) -> Iterator[None]:
        """Prepares the network for photos that will come: JAX compiles once for each size.

        While the block runs, another thread reads the sizes of the photos from their headers and
        compiles for one size after the other. It passes over photos that cannot be read.

        Args:
          paths: The photos, in the order in which they will be matted.
        """
        if not self.compiles:
            yield
            return
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
    device: str | None = None,
    precision: str = 'f32',
    openvino_cache: Path | str | None = None,
    parallel: int = 1,
    threads: int | None = None,
) -> Predictor:
    """Loads a network for prediction.

    Args:
      path_or_name: A checkpoint directory, the name of weights that ship with the package, or an
        artefact of `exporters.export` (`.xml`, `.onnx`, `.pb` or `.tflite`); by default the best
        weights that ship.
      runtime: What runs the network: 'onnxruntime' or 'openvino' for weights that ship, both,
        'tensorflow' and 'litert' for artefacts, 'jax' for checkpoints. If None, ONNX Runtime
        wherever there is an artefact that it reads (for several photos at once OpenVINO, if it is
        installed), what reads it for other artefacts, and JAX for a checkpoint without one.
      input_size: The input size in pixels at which the network is used, a multiple of its stride;
        if None, its own. The function `network_size` tells what it means. An artefact that has a
        fixed size, or that resizes photos itself, takes no other.
      device: What the runtime computes on: OpenVINO's CPU, GPU, NPU or AUTO, a provider of ONNX
        Runtime such as CUDA or CoreML; if None the CPU, with JAX its own default. There is no
        fall-back to another.
      precision: What OpenVINO computes in: 'f32', or 'bf16' or 'f16' where the device has it.
      openvino_cache: A folder in which OpenVINO keeps what it compiles for the next start.
      parallel: How many threads may have an alpha computed at once, each on its share of the cores:
        many photos take less time together, one of them more. JAX and TensorFlow compute one at a
        time.
      threads: How many threads compute in all, for programs that share the cores out by themselves;
        one for each core if None. JAX and TensorFlow do not heed it.

    Returns:
      A callable: uint8 [H, W, 3] RGB → alpha, float32 [H, W] in [0, 1], at the photo's own size.

    Raises:
      MattingError: `path_or_name` is no path, the runtime is unknown, cannot run the file or has no
        such device or precision here, or the network cannot be used at that input size.
      ArtefactError: The artefact is missing or damaged, or nothing says how to feed it.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ImportError: The runtime is not installed.
    """
    if not isinstance(path_or_name, str | os.PathLike):
        raise MattingError(
            'path_or_name: expected a checkpoint directory, the name of weights that ship or an '
            f'artefact, got {path_or_name!r}'
        )
    if not isinstance(parallel, int) or not 1 <= parallel <= MOST_PARALLEL:
        raise MattingError(f'parallel: expected 1 to {MOST_PARALLEL} threads, got {parallel!r}')
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise MattingError(f'threads: expected at least 1, got {threads!r}')
    cache = None if openvino_cache is None else Path(openvino_cache)
    options = SessionOptions(device, precision, cache, parallel, threads)
    return Predictor(create_runtime(path_or_name, runtime, input_size, options))
