"""What can run a network: JAX for checkpoints, other runtimes for exported artefacts."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint, load_checkpoint
from mattingjax.errors import ArtefactError, MattingError
from mattingjax.models import ModelConfig, Preprocessing, apply_compiled
from mattingjax.sessions import READERS, SESSIONS, create_session
from mattingjax.signature import read_signature

RUNTIMES = ('jax', *SESSIONS)


class Runtime(Protocol):
    """What runs a network: photos in, alphas out.

    Attributes:
      input_size: Pixels of the network's short side or of both sides (see `ModelConfig`).
      preprocessing: How a photo becomes the network's input.
      fixed_size: Height and width if it takes only that size, else None.
      resizes: Whether it takes photos of any size, uint8, and resizes them itself.
    """

    input_size: int
    preprocessing: Preprocessing
    fixed_size: tuple[int, int] | None
    resizes: bool

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 [N, H, W, 3] RGB in [0, 255] → float32 [N, H, W, 1] in [0, 1]."""


class JaxRuntime:
    """Runs a checkpoint with JAX; compiles once per image size.

    JAX's persistent compilation cache, where its user has turned it on
    (`JAX_COMPILATION_CACHE_DIR`), makes that once per machine.
    """

    fixed_size: tuple[int, int] | None = None
    resizes = False

    def __init__(self, checkpoint: Checkpoint):
        self.input_size = checkpoint.config.input_size
        self.preprocessing = checkpoint.config.preprocessing
        self._config: ModelConfig = checkpoint.config
        self._variables = jax.device_put(checkpoint.variables)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(apply_compiled(self._config, self._variables, images)['alpha'])


class ArtefactRuntime:
    """Runs an exported network, one photo at a time."""

    def __init__(self, path: Path | str, runtime: str | None = None):
        self._session = create_session(path, runtime)
        self._signature = signature = read_signature(path, self._session.metadata)
        self.input_size = signature.input_size
        self.preprocessing = signature.preprocessing
        self.resizes = signature.resize_inside
        found = tuple(size or 0 for size in self._session.input_shape)
        if found != signature.shape:
            raise ArtefactError(f'{path}: expected input {signature.shape}, found {found}')
        batch, height, width, _ = signature.shape
        if batch > 1:
            raise ArtefactError(
                f'{path}: takes {batch} images at once; expected one of batch size 1 or any'
            )
        self.fixed_size = (height, width) if height and width else None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if not self._signature.scaling_inside:
            images = (images - np.asarray(self.preprocessing.mean)) / self.preprocessing.std
        if self._signature.colour_order == 'BGR':
            images = images[..., ::-1]
        if self._signature.dtype == 'uint8':
            images = np.clip(np.round(images), 0, 255)
        images = np.ascontiguousarray(images, self._signature.dtype)
        return np.concatenate([self._session(image[None]) for image in images])


def create_runtime(path_or_name: Path | str, runtime: str | None = None) -> Runtime:
    """Loads a checkpoint or an artefact.

    Args:
      path_or_name: A checkpoint directory, the name of weights that ship, or an artefact (`.xml`,
        `.onnx` or `.pb`).
      runtime: 'jax' for a checkpoint; 'openvino', 'onnxruntime' or 'tensorflow' for an artefact.
        If None, the one that suits the path.

    Raises:
      MattingError: No such runtime, or it does not run that.
      ArtefactError: The artefact is missing or damaged, or nothing says how to feed it.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ImportError: The runtime is not installed.
    """
    if runtime is not None and runtime not in RUNTIMES:
        raise MattingError(f'runtime: expected one of {", ".join(RUNTIMES)}, got {runtime!r}')
    if Path(path_or_name).suffix in READERS and not Path(path_or_name).is_dir():
        if runtime == 'jax':
            raise MattingError(
                f'{path_or_name}: an artefact; JAX runs checkpoints, expected the runtime '
                + ' or '.join(READERS[Path(path_or_name).suffix])
            )
        return ArtefactRuntime(path_or_name, runtime)
    if runtime not in (None, 'jax'):
        raise MattingError(
            f'{path_or_name}: expected an artefact ({", ".join(READERS)}) for the runtime '
            f'{runtime}; python -m exporters.export makes one of a checkpoint'
        )
    return JaxRuntime(load_checkpoint(path_or_name))
