"""Runtimes: ONNX Runtime and others run exported artefacts, JAX runs checkpoints."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mattingjax.errors import ArtefactError, MattingError
from mattingjax.images.preprocessing import Preprocessing, check_input_size
from mattingjax.inference.sessions import (
    READERS,
    SESSIONS,
    SessionOptions,
    Shape,
    create_session,
)
from mattingjax.inference.sessions.session import check_device, check_plain
from mattingjax.inference.signature import MAX_SIDE, Signature, check_alpha, read_signature
from mattingjax.process.compilation import keep_as_planned
from mattingjax.process.reading import hash_file
from mattingjax.weights import (
    CONFIG_FILE,
    MANIFEST_FILE,
    find_artefact,
    read_network,
    ships,
)

RUNTIMES = ('jax', *SESSIONS)


class Runtime(Protocol):
    """A loaded network: photos in, alphas out.

    Attributes:
      input_size: Pixels of the network's short side or of both sides (see `ModelConfig`): those
        asked for, or else its own.
      preprocessing: How a photo becomes the network's input.
      fixed_size: Height and width in pixels if it takes only that size, else None.
      resizes: Whether it takes photos of any size, uint8, and resizes them itself.
      name: The runtime's name in `RUNTIMES`.
      compiles: Whether it compiles for each new size of input.
      device: What runs it, by the runtime's own name, such as 'CPU'.
      precision: What it computes in: 'f32', or with OpenVINO 'bf16' or 'f16'.
      parallel: How many threads may call it at once.
    """

    input_size: int
    preprocessing: Preprocessing
    fixed_size: tuple[int, int] | None
    resizes: bool
    name: str
    compiles: bool
    device: str
    precision: str
    parallel: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 [N, H, W, 3] RGB in [0, 255] → float32 [N, H, W, 1] in [0, 1]."""

    def prepare(self, height: int, width: int) -> None:
        """Compiles ahead for photos of a size in pixels; any thread may call it."""

    def describe(self) -> dict[str, Any]:
        """Where it was loaded from, the SHA-256 of its content, and the size, as JSON types."""


class ArtefactRuntime:
    """Runs an exported network, one photo at a time.

    Args:
      path: The artefact, a `.xml`, `.onnx`, `.pb` or `.tflite` file.
      runtime: 'openvino', 'onnxruntime', 'tensorflow' or 'litert'; the default for the kind of
        file if None.
      input_size: The input size in pixels; the artefact's own if None. One that has a fixed size,
        or that resizes photos itself, takes no other.
      options: The device, the precision and whether the file is trusted.
      checkpoint: The path or name of the checkpoint that the artefact lies in, if it does.

    Raises:
      MattingError: The runtime has no such device or precision here.
      ArtefactError: It is missing or damaged, nothing says how to feed it, or it takes no other
        input size.
      ConfigError: The network cannot have that input size.
    """

    compiles = False

    def __init__(
        self,
        path: Path | str,
        runtime: str | None = None,
        input_size: int | None = None,
        options: SessionOptions | None = None,
        checkpoint: Path | str | None = None,
    ):
        self._path, self._checkpoint = path, checkpoint
        self.name = runtime or READERS[Path(path).suffix][0]

        def fix_shape(shape: Shape, metadata: str | None) -> Shape:
            return _fix_shape(shape, read_signature(path, metadata), input_size)

        options = dataclasses.replace(options or SessionOptions(), fix_shape=fix_shape)
        self._session = create_session(path, runtime, options)
        self._signature = signature = read_signature(path, self._session.metadata)
        self.preprocessing = signature.preprocessing
        self.resizes = signature.resize_inside
        self.device = self._session.device
        self.precision = options.precision
        self.parallel = self._session.parallel
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
        description: dict[str, Any]
        path = Path(self._path)
        if self._checkpoint is not None:
            network = read_network(path)
            description = {
                'checkpoint': str(self._checkpoint),
                'name': network.get('network'),
                'sha256': network.get('sha256'),
                'artefact': path.name,
                'artefact_sha256': hash_file(path),
            }
        else:
            weights = path.with_suffix('.bin')
            files = [path, *([weights] if path.suffix == '.xml' and weights.is_file() else [])]
            hashes = {file.name: hash_file(file) for file in files}
            description = {'artefact': str(path), 'sha256': hashes}
        description |= {
            'runtime': self.name,
            'device': self.device,
            'precision': self.precision,
            'input_size': self.input_size,
        }
        if self.fixed_size:  # height x width, as in `--size`
            description['fixed_size'] = '{}x{}'.format(*self.fixed_size)
        return description


def _fix_shape(shape: Shape, signature: Signature, input_size: int | None) -> Shape:
    """What is known of the shape of every input beyond what an artefact says of it.

    It is one photo; and a network that sees all photos at one size has no other. OpenVINO is a
    tenth faster where it knows the first, and a third where it knows all.
    """
    if len(shape) != 4:  # which `ArtefactRuntime` refuses
        return shape
    batch, height, width, channels = shape
    if height or width or signature.resize_inside or signature.preprocessing.resize != 'exact':
        return batch or 1, height, width, channels
    size = signature.input_size if input_size is None else input_size
    check_input_size(size, signature.preprocessing, 'input_size', MAX_SIDE)
    return batch or 1, size, size, channels


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
    path_or_name: Path | str,
    runtime: str | None = None,
    input_size: int | None = None,
    options: SessionOptions | None = None,
) -> Runtime:
    """Loads a checkpoint or an artefact.

    Args:
      path_or_name: A checkpoint directory, the name of weights that ship, or an artefact (`.xml`,
        `.onnx`, `.pb` or `.tflite`).
      runtime: 'onnxruntime', 'openvino', 'tensorflow' or 'litert' for an artefact, and the first
        two for a checkpoint that has its artefact in its directory, as weights that ship do; 'jax'
        for any checkpoint. If None, ONNX Runtime where there is an artefact that it reads; for
        several inputs at once OpenVINO, if it is installed.
      input_size: The input size in pixels, a multiple of the network's stride; the network's own if
        None.
      options: The device and the precision; `trusted` is decided here.

    Raises:
      MattingError: The runtime is unknown, cannot run the file or has no such device or precision,
        or the network cannot be used at that input size.
      ArtefactError: The artefact is missing or damaged, or nothing says how to feed it.
      CheckpointError: There is no such checkpoint, or it is damaged.
      ImportError: The runtime is not installed.
    """
    options = options or SessionOptions()
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
        runtime = runtime or _fastest(Path(path_or_name), options)
        return ArtefactRuntime(path_or_name, runtime, input_size, options)
    _refuse_parts(Path(path_or_name))
    if runtime == 'jax':
        return _create_jax_runtime(path_or_name, input_size, options)
    artefact = find_artefact(path_or_name)
    if artefact is not None and runtime in (None, *READERS[artefact.suffix]):
        runtime = runtime or _fastest(artefact, options)
        trusted = dataclasses.replace(options, trusted=ships(artefact))
        return ArtefactRuntime(artefact, runtime, input_size, trusted, path_or_name)
    if runtime is None:
        return _create_jax_runtime(path_or_name, input_size, options)
    raise MattingError(
        f'{path_or_name}: expected an artefact ({", ".join(READERS)}) for the runtime '
        f'{runtime}; mattingjax export makes one of a checkpoint'
    )


def _fastest(artefact: Path, options: SessionOptions) -> str | None:
    """The runtime that is the fastest one, if it is not the default for the kind of file.

    OpenVINO takes longer to start, and less for each of many inputs of one size.
    """
    is_plain = options.device in (None, 'CPU') and options.parallel > 1
    there = is_plain and importlib.util.find_spec('openvino') is not None
    return 'openvino' if there and artefact.suffix == '.onnx' else None


def _create_jax_runtime(
    path_or_name: Path | str, input_size: int | None, options: SessionOptions
) -> Runtime:
    # Matting with an artefact needs none of this, and importing JAX takes longer than a photo.
    from mattingjax.checkpoints import load_checkpoint
    from mattingjax.inference.jax_runtime import JaxRuntime

    keep_as_planned()
    runtime = JaxRuntime(load_checkpoint(path_or_name), input_size)
    if options.device is not None:
        check_device('JAX', options.device, [runtime.device])
    check_plain('JAX', options)
    return runtime


def _refuse_parts(path: Path) -> None:
    """Raises ArtefactError, which names the artefact, for its weights file and for its folder."""
    if path.suffix == '.bin' and os.path.isfile(path.with_suffix('.xml')):
        raise ArtefactError(
            f'{path}: the weights of an artefact; expected {path.with_suffix(".xml")}'
        )
    if os.path.isfile(path / MANIFEST_FILE) and not os.path.isfile(path / CONFIG_FILE):
        found = sorted(file.name for file in path.iterdir() if file.suffix in READERS)
        raise ArtefactError(
            f'{path}: the folder of an export; expected one of its files: '
            f'{", ".join(found) or "none is left"}'
        )
