"""Photo → alpha at the photo's own size, whatever runs the network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mattingjax.checkpoints import DEFAULT_WEIGHTS
from mattingjax.errors import ImageError, MattingError
from mattingjax.images import check_image, resize
from mattingjax.models import Preprocessing
from mattingjax.runtimes import Runtime, create_runtime

MIN_SIDE, MAX_ASPECT = 16, 16


def network_size(
    height: int,
    width: int,
    input_size: int,
    preprocessing: Preprocessing,
    step: int | None = None,
) -> tuple[int, int]:
    """The size at which a network sees a photo.

    With 'exact' preprocessing it is the input size. With 'short_side' it is MODNet's own rule: a
    photo that is smaller than the input size altogether, or larger altogether, is scaled so that
    its short side has the input size, any other keeps its size; then both sides are rounded down
    to a multiple of the network's stride.

    Args:
      height: Of the photo, in pixels.
      width: Of the photo, in pixels.
      input_size: The network's, in pixels.
      preprocessing: The network's.
      step: If given, sides are rounded to the nearest multiple of this many pixels instead, so
        that photos of many shapes share few compiled programs.

    Returns:
      Height and width in pixels.

    Raises:
      ImageError: The photo is too small or too thin for a matte.
      MattingError: `step` is no multiple of the network's stride, or over the input size.
    """
    multiple = preprocessing.multiple_of
    if step is not None and (step % multiple or not multiple <= step <= input_size):
        raise MattingError(
            f'step: expected a multiple of {multiple} pixels, at most {input_size}, got {step}'
        )
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
    if step is None:
        new_short, new_long = (side - side % multiple for side in (new_short, new_long))
    else:
        new_short = max(1, round(new_short / step)) * step
        new_long = round(long / short * new_short / step) * step
    if new_short < multiple:
        raise ImageError(
            f'expected a photo whose short side is at least {multiple} pixels where the long one '
            f'is {input_size} or more, got {width}x{height}'
        )
    return (new_short, new_long) if height <= width else (new_long, new_short)


class Predictor:
    """Computes the alpha of photos of any size.

    Args:
      runtime: What runs the network.
    """

    def __init__(self, runtime: Runtime):
        self._runtime = runtime

    def __repr__(self) -> str:
        runtime = self._runtime
        return f'Predictor({type(runtime).__name__}, input size {runtime.input_size})'

    def network_size(self, height: int, width: int, step: int | None = None) -> tuple[int, int]:
        """The size at which the network sees such a photo; see `network_size`.

        An artefact of a fixed size sees every photo at that size, one that resizes for itself at
        the photo's.
        """
        runtime = self._runtime
        size = network_size(height, width, runtime.input_size, runtime.preprocessing, step)
        return (height, width) if runtime.resizes else runtime.fixed_size or size

    @property
    def folder_step(self) -> int:
        """A step for `network_size` with which photos of any shape share few compiled programs.

        64 pixels where the network allows it: rounding to the nearest 64 distorts no more than the
        original's rounding down to 32.
        """
        multiple = self._runtime.preprocessing.multiple_of
        return max(multiple, min(64, self._runtime.input_size) // multiple * multiple)

    def __call__(self, image: np.ndarray, step: int | None = None) -> np.ndarray:
        """Computes the alpha of one photo.

        Args:
          image: uint8 [H, W, 3] RGB in [0, 255].
          step: See `network_size`.

        Returns:
          float32 [H, W] in [0, 1].

        Raises:
          ImageError: `image` has another type or shape, or is too small or too thin.
          MattingError: `step` does not suit the network.
        """
        check_image(image)
        height, width = image.shape[:2]
        # By area both ways, as in the original; the matte is enlarged smoothly.
        size = self.network_size(height, width, step)
        pixels = resize(image.astype(np.float32), *size, enlarge=cv2.INTER_AREA)
        alpha = self._runtime(pixels[None])[0, :, :, 0]
        return np.clip(resize(alpha, height, width), 0, 1)


def create_predictor(
    path_or_name: Path | str = DEFAULT_WEIGHTS, runtime: str | None = None
) -> Predictor:
    """Loads a network for prediction.

    Args:
      path_or_name: A checkpoint directory, the name of weights that ship with the package, or an
        artefact of `exporters.export` (`.xml`, `.onnx` or `.pb`); by default the best weights that
        ship.
      runtime: What runs it: 'jax' for a checkpoint, 'openvino', 'onnxruntime' or 'tensorflow' for
        an artefact; if None, the one that suits the path.

    Returns:
      A callable: uint8 [H, W, 3] RGB → alpha, float32 [H, W] in [0, 1], at the photo's own size.

    Raises:
      MattingError: No such runtime, or it does not run that.
      ArtefactError: The artefact is missing or damaged, or nothing says how to feed it.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ImportError: The runtime is not installed.
    """
    return Predictor(create_runtime(path_or_name, runtime))
