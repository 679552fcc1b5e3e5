"""Loads exports, other people's too, so that ours can be timed against them on equal terms."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from mattingjax.errors import ArtefactError
from mattingjax.inference.sessions import (
    READERS,
    OnnxSession,
    Session,
    SessionOptions,
    Shape,
    create_session,
    find_ends,
)
from mattingjax.inference.signature import Signature, read_signature
from mattingjax.process.packages import import_tensorflow
from mattingjax.process.scratch import scratch_folder

_SIDE = 512  # of networks of free size that do not say their own


def load_network(
    path: Path, runtime: str, precision: str = 'f32', size: tuple[int, int] | None = None
) -> tuple[Session, tuple[int, ...]]:
    """Loads any matting network with an input of photos, NHWC or NCHW, fixed to one size.

    Args:
      path: An artefact.
      runtime: What runs it; ONNX Runtime gets a `.pb` as tf2onnx converts it.
      precision: OpenVINO's inference precision, 'f32', 'bf16' or 'f16'.
      size: Height and width, where the network leaves them free; if None those of its own input
        size, 512 by 512 where it tells none.

    Returns:
      The network, and the shape of its input.

    Raises:
      MattingError: The runtime has no such precision here.
      ArtefactError: The file is missing or damaged, or not one of photos.
      ImportError: The runtime is not installed.
    """

    def fix(shape: Shape, metadata: str | None) -> tuple[int, ...]:
        return _fix(path, shape, size or _own_size(path, metadata))

    if runtime not in READERS[path.suffix]:
        session = _convert(path)
    else:
        options = SessionOptions(precision=precision, fix_shape=fix)
        session = create_session(path, runtime, options)
    return session, fix(session.input_shape, session.metadata)


def find_signature(path: Path, metadata: str | None) -> Signature | None:
    """How an artefact is fed; None where nothing says so, as with other people's exports."""
    with contextlib.suppress(ArtefactError):
        return read_signature(path, metadata)
    return None


def _own_size(path: Path, metadata: str | None) -> tuple[int, int]:
    signature = find_signature(path, metadata)
    side = signature.input_size if signature else _SIDE
    return side, side


def _fix(path: Path, shape: Shape, size: tuple[int, int]) -> tuple[int, ...]:
    """Fixes a shape to one photo, and free sides to `size`; 3 tells the axis of the colours."""
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise ArtefactError(
            f'{path}: expected an input of photos, [N, H, W, 3] or [N, 3, H, W], found {shape}'
        )
    whole = (1, 3, *size) if shape[1] == 3 else (1, *size, 3)
    return tuple(side or wanted for side, wanted in zip(shape, whole, strict=True))


def _convert(path: Path) -> Session:
    tf = import_tensorflow()
    import tf2onnx

    create_session(path)  # raises for a damaged file
    graph: Any = tf.compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    inputs, outputs = ([f'{name}:0' for name in ends] for ends in find_ends(graph))
    with scratch_folder() as folder:
        target = folder / 'model.onnx'
        tf2onnx.convert.from_graph_def(
            graph, input_names=inputs, output_names=outputs, opset=17, output_path=str(target)
        )
        return OnnxSession(target)
