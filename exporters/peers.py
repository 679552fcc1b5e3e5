"""Loads other people's exports, so that ours can be timed against them on equal terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mattingjax.errors import ArtefactError
from mattingjax.inference.sessions import (
    OnnxSession,
    OpenVinoSession,
    Session,
    SessionOptions,
    Shape,
    check_artefact,
    create_session,
    find_ends,
)
from mattingjax.process.files import scratch_folder
from mattingjax.process.packages import import_tensorflow


def load_peer(
    path: Path, runtime: str, size: tuple[int, int], precision: str = 'f32'
) -> tuple[Session, tuple[int, ...]]:
    """Loads any matting network with an input of photos, NHWC or NCHW, fixed to one size.

    Args:
      path: A `.xml`, `.onnx` or `.pb` file.
      runtime: 'openvino' or 'onnxruntime', which gets a `.pb` as tf2onnx converts it.
      size: Height and width, where the network leaves them free.
      precision: OpenVINO's inference precision, 'f32', 'bf16' or 'f16'.

    Returns:
      The network, and the shape of its input.

    Raises:
      ArtefactError: The file is missing or damaged.
    """
    check_artefact(path)
    if runtime == 'onnxruntime':
        session: Session = _convert(path) if path.suffix == '.pb' else create_session(path, runtime)
        return session, _fix(path, session.input_shape, size)
    options = SessionOptions(precision=precision, fix_shape=lambda free, _: _fix(path, free, size))
    compiled = OpenVinoSession(path, options)
    return compiled, _fix(path, compiled.input_shape, size)


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
