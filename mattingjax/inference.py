"""Photo → alpha: one interface over the runtimes, the sizes that the networks want."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import jax
import numpy as np

from mattingjax.checkpoints import load_checkpoint
from mattingjax.errors import ImageError, MattingError
from mattingjax.images import check_image, resize
from mattingjax.models import ModelConfig, Preprocessing, apply_compiled

MIN_SIDE, MAX_ASPECT = 16, 16


class Runtime(Protocol):
    """What runs a network: photos of the network's own size in, alphas out."""

    input_size: int
    preprocessing: Preprocessing

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 [N, H, W, 3] RGB in [0, 255] → float32 [N, H, W, 1] in [0, 1]."""


class JaxRuntime:
    """Runs a checkpoint with JAX; compiles once per image size.

    JAX's persistent compilation cache, where its user has turned it on
    (`JAX_COMPILATION_CACHE_DIR`), makes that once per machine.
    """

    def __init__(self, path_or_name: Path | str):
        checkpoint = load_checkpoint(path_or_name)
        self.input_size = checkpoint.config.input_size
        self.preprocessing = checkpoint.config.preprocessing
        self._config: ModelConfig = checkpoint.config
        self._variables = jax.device_put(checkpoint.variables)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(apply_compiled(self._config, self._variables, images)['alpha'])


RUNTIMES = {'jax': JaxRuntime}


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

    def network_size(self, height: int, width: int, step: int | None = None) -> tuple[int, int]:
        """The size at which the network sees such a photo; see `network_size`."""
        runtime = self._runtime
        return network_size(height, width, runtime.input_size, runtime.preprocessing, step)

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


def create_predictor(path_or_name: Path | str, runtime: str = 'jax') -> Predictor:
    """Loads a network for prediction.

    Args:
      path_or_name: A checkpoint directory, or the name of weights that ship with the package.
      runtime: What runs it; 'jax'.

    Returns:
      A callable: uint8 [H, W, 3] RGB → alpha, float32 [H, W] in [0, 1], at the photo's own size.

    Raises:
      MattingError: No such runtime.
      CheckpointError: There is no such checkpoint, or it is damaged.
    """
    if runtime not in RUNTIMES:
        raise MattingError(f'runtime: expected one of {", ".join(RUNTIMES)}, got {runtime!r}')
    return Predictor(RUNTIMES[runtime](path_or_name))
