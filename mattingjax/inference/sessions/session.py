"""The interface of sessions, and errors of runtimes as one line about the artefact."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mattingjax.errors import ArtefactError
from mattingjax.inference import screening

Shape = tuple[int | None, ...]  # None for a side that may have any size


class Session(Protocol):
    """A loaded artefact of one input and one output.

    Attributes:
      input_name: Name of the input.
      input_shape: Shape of the input, usually [N, H, W, 3]; None for a side that may have any size.
      input_dtype: Type of the input.
      metadata: The artefact's own metadata, JSON, with its signature; None if it has none.
    """

    input_name: str
    input_shape: Shape
    input_dtype: np.dtype
    metadata: str | None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Runs the network on an array of the input's shape and type; returns its output.

        Raises:
          ArtefactError: The runtime fails, or the network would take too much memory.
        """


METADATA_KEY = 'mattingjax'


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


def guard_onnx(path: Path) -> screening.InputGuard:
    """Reads an ONNX model far enough to know that it is harmless.

    Returns:
      The guard of its memory.

    Raises:
      ArtefactError: It is damaged, or `mattingjax.inference.screening` refuses it.
    """
    model = screening.read_onnx(path)
    inputs = screening.onnx_inputs(model)
    check_ends(path, len(inputs), len(model.graph.output))
    ((name, shape),) = inputs.items()
    return screening.InputGuard(
        path, shape, lambda shape: screening.list_onnx_steps(model, shape), name
    )
