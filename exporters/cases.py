"""The images on which artefacts are compared with the JAX network, and its alphas of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from mattingjax import Checkpoint
from mattingjax.errors import MattingError
from mattingjax.images import load_srgb, resize
from mattingjax.networks import apply_compiled

NOISE = 'noise'
MAX_PHOTOS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """Images and the JAX network's alpha of them.

    Attributes:
      name: Name of the photo, or 'noise'.
      images: float32 [N, H, W, 3] RGB in [0, 255].
      alpha: float32 [N, H, W, 1] in [0, 1].
    """

    name: str
    images: np.ndarray
    alpha: np.ndarray


Cases = dict[tuple[int, int, int], list[Case]]  # batch size, height, width → cases


def load_photos(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """Loads photos to compare on.

    Args:
      paths: The files, of which the first `MAX_PHOTOS` are loaded; two of scikit-image's if empty.

    Returns:
      Name of each photo → uint8 [H, W, 3].
    """
    if paths:
        return {str(path): load_srgb(path) for path in paths[:MAX_PHOTOS]}
    import skimage.data

    return {'astronaut': skimage.data.astronaut(), 'chelsea': skimage.data.chelsea()}


def create_cases(
    checkpoint: Checkpoint, photos: dict[str, np.ndarray], shape: tuple[int, int, int]
) -> Cases:
    """Makes cases at the size of an export, and at two other sizes, one of batch size 2.

    Args:
      checkpoint: The network and its variables.
      photos: Name of each → uint8 [H, W, 3]; the other sizes use the first alone.
      shape: Batch size, height and width of the export, in pixels.

    Returns:
      Size → its cases; the size of the export is the first.
    """
    size, multiple = checkpoint.config.input_size, checkpoint.config.preprocessing.multiple_of
    one = dict(list(photos.items())[:1])
    half, more = (max(1, side // multiple) * multiple for side in (size // 2, size * 3 // 2))
    try:
        cases = {shape: _cases_at(checkpoint, photos, shape)}
        for other in {(2, half, half), (1, size, more)} - {shape}:
            cases[other] = _cases_at(checkpoint, one, other)
    except jax.errors.JaxRuntimeError as error:
        message = ' '.join(str(error).split())
        raise MattingError(
            f'the JAX network cannot be run to compare with ({message:.200})'
        ) from error
    return cases


def _cases_at(
    checkpoint: Checkpoint, photos: dict[str, np.ndarray], shape: tuple[int, int, int]
) -> list[Case]:
    """The photos at one size, and uniform noise, both with integer values as pixels have."""
    batch, height, width = shape
    inputs = {}
    for name, photo in photos.items():
        picture = np.clip(np.round(resize(photo.astype(np.float32), height, width)), 0, 255)
        # Every second image of a batch is mirrored, so that a mix-up of images shows.
        inputs[name] = np.stack([picture[:, :: (-1) ** i] for i in range(batch)])
    rng = np.random.default_rng(0)
    inputs[NOISE] = rng.integers(0, 256, (batch, height, width, 3)).astype(np.float32)
    config, variables = checkpoint.config, checkpoint.variables
    return [
        Case(name, images, np.asarray(apply_compiled(config, variables, images)['alpha']))
        for name, images in inputs.items()
    ]


def describe_case(case: Case) -> str:
    """A case's name and size, such as 'astronaut 1x512x512'."""
    return f'{case.name} {"x".join(map(str, case.alpha.shape[:3]))}'
