"""Runtimes: JAX runs checkpoints, other libraries run exported artefacts."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint, hash_checkpoint, load_checkpoint
from mattingjax.errors import ArtefactError, MattingError
from mattingjax.inference.sessions import READERS, SESSIONS, create_session
from mattingjax.inference.signature import (
    MANIFEST_FILE,
    MAX_SIDE,
    Signature,
    check_alpha,
    read_signature,
)
from mattingjax.networks import (
    ModelConfig,
    Preprocessing,
    Variables,
    apply_compiled,
    check_input_size,
)
from mattingjax.process.files import hash_file

RUNTIMES = ('jax', *SESSIONS)


class Runtime(Protocol):
    """A loaded network: photos in, alphas out.

    Attributes:
      input_size: Pixels of the network's short side or of both sides (see `ModelConfig`): those
        asked for, or else its own.
      preprocessing: How a photo becomes the network's input.
      fixed_size: Height and width in pixels if it takes only that size, else None.
      resizes: Whether it takes photos of any size, uint8, and resizes them itself.
    """

    input_size: int
    preprocessing: Preprocessing
    fixed_size: tuple[int, int] | None
    resizes: bool

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 [N, H, W, 3] RGB in [0, 255] → float32 [N, H, W, 1] in [0, 1]."""

    def prepare(self, height: int, width: int) -> None:
        """Compiles ahead for photos of a size in pixels; any thread may call it."""

    def describe(self) -> dict[str, Any]:
        """Where it was loaded from, the SHA-256 of its content, and the size, as JSON types."""


class JaxRuntime:
    """Runs a checkpoint with JAX; compiles once per image size.

    `mattingjax.process.compilation.keep_compiled` makes that once per machine.

    Args:
      checkpoint: The network and its variables.
      input_size: The input size in pixels; the checkpoint's own if None.

    Raises:
      ConfigError: The network cannot have that input size.
    """

    fixed_size: tuple[int, int] | None = None
    resizes = False

    def __init__(self, checkpoint: Checkpoint, input_size: int | None = None):
        self.preprocessing = checkpoint.config.preprocessing
        if input_size is not None:
            check_input_size(input_size, self.preprocessing, 'input_size')
        self.input_size = checkpoint.config.input_size if input_size is None else input_size
        self._origin = checkpoint.origin
        self._config: ModelConfig = checkpoint.config
        self._variables = jax.device_put(checkpoint.variables)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images, np.float32)
        return np.asarray(self._program(images.shape)(self._variables, images)['alpha'])

    def prepare(self, height: int, width: int) -> None:
        self._program((1, height, width, 3))

    def describe(self) -> dict[str, Any]:
        return {
            'checkpoint': self._origin,
            'name': self._config.network,
            'sha256': hash_checkpoint(Checkpoint(self._config, self._variables)),
            'runtime': 'jax',
            'input_size': self.input_size,
        }

    def _program(self, shape: tuple[int, ...]) -> Any:
        return _PROGRAMS.get(self._config, self._variables, shape)


class _Programs:
    """Compiled networks; each is compiled once, however many threads ask for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[tuple[ModelConfig, tuple[int, ...]], Future[Any]] = {}

    def get(self, config: ModelConfig, variables: Variables, shape: tuple[int, ...]) -> Any:
        """A function of variables and images of that shape → what `apply_model` returns."""
        with self._lock:
            future = self._futures.get((config, shape))
            if first := future is None:
                future = self._futures[config, shape] = Future()
        if first:
            try:
                future.set_result(_compile(config, variables, shape))
            except BaseException as error:
                del self._futures[config, shape]  # the next call tries again
                future.set_exception(error)
        return future.result()


_PROGRAMS = _Programs()  # networks of one architecture share theirs: the variables are arguments


def compiler_options() -> dict[str, str | bool]:
    """What XLA is told when it compiles a network that predicts."""
    # LLVM's first level takes two thirds of the time that its default, the third, takes to compile
    # MODNet, and what it makes is as fast. But from JAX 0.8 on, a padding that is fused with what
    # it pads then reads beyond the array, which ends the process where no memory is mapped.
    if jax.default_backend() == 'cpu' and jax.version.__version_info__ < (0, 8):
        return {'xla_backend_optimization_level': '1'}
    return {}


def _compile(config: ModelConfig, variables: Variables, shape: tuple[int, ...]) -> Any:
    images = jax.ShapeDtypeStruct(shape, np.float32)
    return apply_compiled.lower(config, variables, images).compile(compiler_options())


class ArtefactRuntime:
    """Runs an exported network, one photo at a time.

    Args:
      path: The artefact, a `.xml`, `.onnx` or `.pb` file.
      runtime: 'openvino', 'onnxruntime' or 'tensorflow'; the default for the kind of file if None.
      input_size: The input size in pixels; the artefact's own if None. One that has a fixed size,
        or that resizes photos itself, takes no other.

    Raises:
      ArtefactError: It is missing or damaged, nothing says how to feed it, or it takes no other
        input size.
      ConfigError: The network cannot have that input size.
    """

    def __init__(self, path: Path | str, runtime: str | None = None, input_size: int | None = None):
        self._path = path
        self._session = create_session(path, runtime)
        self._runtime = runtime or READERS[Path(path).suffix][0]
        self._signature = signature = read_signature(path, self._session.metadata)
        self.preprocessing = signature.preprocessing
        self.resizes = signature.resize_inside
        self._encoding = signature.encoding()
        found = tuple(size or 0 for size in self._session.input_shape)
        if found != signature.shape:
            raise ArtefactError(f'{path}: expected input {signature.shape}, found {found}')
        batch, height, width, _ = signature.shape
        if batch > 1:
            raise ArtefactError(
                f'{path}: takes {batch} images at once; expected one of batch size 1 or any'
            )
        self.fixed_size = (height, width) if height and width else None
        if input_size is not None:
            _check_free(path, signature, input_size)
        self.input_size = signature.input_size if input_size is None else input_size

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = self._encoding.encode(images)
        return np.concatenate([self._run(image[None]) for image in images])

    def _run(self, image: np.ndarray) -> np.ndarray:
        alpha = self._session(image)
        sides = (None, None) if self.resizes else image.shape[1:3]
        check_alpha(self._path, alpha, (1, *sides, 1))
        return np.clip(alpha, 0, 1).astype(np.float32)

    def prepare(self, height: int, width: int) -> None:
        """Does nothing: the runtime compiled the artefact when it was loaded."""

    def describe(self) -> dict[str, Any]:
        path = Path(self._path)
        weights = path.with_suffix('.bin')
        files = [path, *([weights] if path.suffix == '.xml' and weights.is_file() else [])]
        description: dict[str, Any] = {
            'artefact': str(path),
            'sha256': {file.name: hash_file(file) for file in files},
            'runtime': self._runtime,
            'input_size': self.input_size,
        }
        if self.fixed_size:  # height x width, as in `--size`
            description['fixed_size'] = '{}x{}'.format(*self.fixed_size)
        return description


def _check_free(path: Path | str, signature: Signature, input_size: int) -> None:
    """Raises an error unless an artefact can be used at that input size."""
    _, height, width, _ = signature.shape
    own = ''
    if signature.resize_inside:
        own = f'resizes photos itself, for its input size {signature.input_size}'
    elif height or width:
        own = f'has the fixed size {height or "any"}x{width or "any"} (height x width)'
    if own:
        raise ArtefactError(
            f'{path}: {own}; a checkpoint or an artefact of any size takes input_size={input_size}'
        )
    check_input_size(input_size, signature.preprocessing, 'input_size', MAX_SIDE)


def create_runtime(
    path_or_name: Path | str, runtime: str | None = None, input_size: int | None = None
) -> Runtime:
    """Loads a checkpoint or an artefact.

    Args:
      path_or_name: A checkpoint directory, the name of weights that ship, or an artefact (`.xml`,
        `.onnx` or `.pb`).
      runtime: 'jax' for a checkpoint; 'openvino', 'onnxruntime' or 'tensorflow' for an artefact.
        If None, the one that suits the path.
      input_size: The input size in pixels, a multiple of the network's stride; the network's own if
        None.

    Raises:
      MattingError: The runtime is unknown or cannot run the file, or the network cannot be used at
        that input size.
      ArtefactError: The artefact is missing or damaged, or nothing says how to feed it.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ImportError: The runtime is not installed.
    """
    if runtime is not None and runtime not in RUNTIMES:
        raise MattingError(f'runtime: expected one of {", ".join(RUNTIMES)}, got {runtime!r}')
    if '://' in str(path_or_name):
        raise MattingError(
            f'{path_or_name}: weights of another format; mattingjax import-weights (or '
            'import_weights and save_checkpoint) makes a checkpoint of them'
        )
    if Path(path_or_name).suffix in READERS and not os.path.isdir(path_or_name):
        if runtime == 'jax':
            raise MattingError(
                f'{path_or_name}: an artefact; JAX runs checkpoints, expected the runtime '
                + ' or '.join(READERS[Path(path_or_name).suffix])
            )
        return ArtefactRuntime(path_or_name, runtime, input_size)
    _refuse_parts(Path(path_or_name))
    if runtime not in (None, 'jax'):
        raise MattingError(
            f'{path_or_name}: expected an artefact ({", ".join(READERS)}) for the runtime '
            f'{runtime}; mattingjax export makes one of a checkpoint'
        )
    return JaxRuntime(load_checkpoint(path_or_name), input_size)


def _refuse_parts(path: Path) -> None:
    """Raises ArtefactError, which names the artefact, for its weights file and for its folder."""
    if path.suffix == '.bin' and os.path.isfile(path.with_suffix('.xml')):
        raise ArtefactError(
            f'{path}: the weights of an artefact; expected {path.with_suffix(".xml")}'
        )
    if os.path.isfile(path / MANIFEST_FILE):
        found = sorted(file.name for file in path.iterdir() if file.suffix in READERS)
        raise ArtefactError(
            f'{path}: the folder of an export; expected one of its files: '
            f'{", ".join(found) or "none is left"}'
        )
