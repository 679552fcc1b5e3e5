"""The interface of sessions, and errors of runtimes as one line about the artefact."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mattingjax.errors import ArtefactError, MattingError
from mattingjax.inference import screening

Shape = tuple[int | None, ...]  # None for a side that may have any size
FixShape = Callable[[Shape, str | None], Shape]


@dataclasses.dataclass(frozen=True)
class SessionOptions:
    """How a runtime runs a network.

    Attributes:
      device: What runs it, by the runtime's own name, such as 'CPU', OpenVINO's 'NPU' or ONNX
        Runtime's 'CUDA', in any case of letters; if None the CPU, with JAX its own default.
      precision: What OpenVINO computes in: 'f32', or 'bf16' and 'f16' on devices that have them.
      cache: A folder in which OpenVINO keeps what it compiles, for the next start; None keeps
        nothing.
      parallel: How many threads run it side by side, each on its share of the cores: for many
        inputs that takes less time than one after the other, for one of them more. TensorFlow and
        JAX run one at a time.
      threads: How many threads they all compute with; one for each core if None. TensorFlow and JAX
        do not heed it.
      trusted: Whether the file's hash is known, so that it is not screened.
      fix_shape: Function from the input's shape, with None for sides that may have any size, and
        the metadata to the shape that OpenVINO compiles the network for, in which more sides are
        fixed; if None, it is compiled as it is. The other runtimes have no use for it.
    """

    device: str | None = None
    precision: str = 'f32'
    cache: Path | None = None
    parallel: int = 1
    threads: int | None = None
    trusted: bool = False
    fix_shape: FixShape | None = None


class Session(Protocol):
    """A loaded artefact of one input and one output.

    Attributes:
      input_name: Name of the input.
      input_shape: Shape of the input, usually [N, H, W, 3]; None for a side that may have any size.
      input_dtype: Type of the input.
      metadata: The artefact's own metadata, JSON, with its signature; None if it has none.
      device: What runs it, by the runtime's own name.
      parallel: How many threads may call it at once.
    """

    input_name: str
    input_shape: Shape
    input_dtype: np.dtype
    metadata: str | None
    device: str
    parallel: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Runs the network on an array of the input's shape and type; returns its output.

        Raises:
          ArtefactError: The runtime fails, or the network would take too much memory.
        """


METADATA_KEY = 'mattingjax'


def check_device(runtime: str, asked: str | None, there: Sequence[str]) -> str:
    """Returns the name of the device that a runtime is asked for.

    Args:
      runtime: What messages call the runtime.
      asked: The name of the device, in any case of letters; the CPU if None.
      there: The names of the devices that the runtime has on this machine.

    Raises:
      MattingError: The runtime has no such device here.
    """
    name = 'CPU' if asked is None else asked.upper()
    if name not in (known := {device.upper(): device for device in there}):
        raise MattingError(
            f'device: expected one of {", ".join(there)}, which {runtime} has here, got {asked!r}'
        )
    return known[name]


def check_plain(runtime: str, options: SessionOptions) -> None:
    """Raises MattingError for what OpenVINO alone can be asked for."""
    if options.precision != 'f32':
        raise MattingError(
            f'precision: {runtime} computes in that of the file; expected f32, or the runtime '
            f'openvino, got {options.precision!r}'
        )
    if options.cache is not None:
        raise MattingError(
            f'openvino_cache: {runtime} keeps nothing that it compiles; expected the runtime '
            f'openvino, got {str(options.cache)!r}'
        )


def check_ends(path: Path | str, inputs: int, outputs: int) -> None:
    """Raises ArtefactError unless an artefact has one input and one output."""
    if (inputs, outputs) != (1, 1):
        raise ArtefactError(
            f'{path}: expected one input and one output, found {inputs} and {outputs}'
        )


@contextlib.contextmanager
def loading(path: Any, runtime: str) -> Iterator[None]:
    """Limits memory while a runtime loads a network, and turns its errors into ArtefactError."""
    with screening.limited_memory(), as_artefact_error(path, f'{runtime} cannot read it'):
        yield


@contextlib.contextmanager
def as_artefact_error(path: Any, problem: str) -> Iterator[None]:
    """Turns whatever a runtime raises, of whatever type, into one line about the artefact."""
    try:
        yield
    except (ArtefactError, ImportError):
        raise
    except Exception as error:
        raise ArtefactError(f'{path}: {problem} ({_last_line(error)})') from error


def _last_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError) or 'bad_alloc' in text or 'bad allocation' in text:
        return 'it would need too much memory'
    if isinstance(error, UnicodeDecodeError):  # a message with bytes of a damaged file in it
        text = error.object.decode(errors='replace')
    lines = [' '.join(line.split()) for line in text.splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:200]


def guard_onnx(path: Path, *, trusted: bool = False) -> screening.Guard:
    """Reads an ONNX model far enough to know that it is harmless, unless it is trusted.

    Returns:
      The guard of its memory.

    Raises:
      ArtefactError: It is damaged, or `mattingjax.inference.screening` refuses it.
    """
    if trusted:
        return screening.PixelGuard(path)
    model = screening.read_onnx(path)
    inputs = screening.onnx_inputs(model)
    check_ends(path, len(inputs), len(model.graph.output))
    ((name, shape),) = inputs.items()
    return screening.InputGuard(
        path, shape, lambda shape: screening.list_onnx_steps(model, shape), name
    )
