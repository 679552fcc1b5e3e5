"""From ONNX to OpenVINO IR, with weights in FP32 or FP16, and preprocessing inside if wanted."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np

from exporters.precision.within_tolerance import share_of_largest
from mattingjax.inference.sessions import METADATA_KEY
from mattingjax.process.packages import import_openvino

_MOST_TEXT = 2**20  # bytes of a network without its weights


def convert_onnx(model: bytes) -> Any:
    """Converts an ONNX model to an `openvino.Model` with OpenVINO's converter."""
    return import_openvino().convert_model(io.BytesIO(model))


def embed_preprocessing(model: Any, colour_order: str) -> Any:
    """Makes a model of fixed size take camera frames: uint8 [1, H, W, 3] of any size.

    Resizing (bilinear, antialiased as Pillow's) and the order of the colours become part of the
    graph.

    Args:
      model: An `openvino.Model`: float32 RGB [1, H, W, 3] in [0, 255] → alpha.
      colour_order: Order of the frames' colours, 'RGB' or 'BGR'.
    """
    ov = import_openvino()
    from openvino.preprocess import ColorFormat, PrePostProcessor, ResizeAlgorithm

    formats = {'RGB': ColorFormat.RGB, 'BGR': ColorFormat.BGR}
    processor = PrePostProcessor(model)
    frame = processor.input().tensor()
    frame.set_element_type(ov.Type.u8).set_layout(ov.Layout('NHWC'))
    frame.set_spatial_dynamic_shape().set_color_format(formats[colour_order])
    processor.input().model().set_layout(ov.Layout('NHWC'))
    steps = processor.input().preprocess()
    steps.convert_element_type(ov.Type.f32)
    steps.resize(ResizeAlgorithm.RESIZE_BILINEAR_PILLOW)
    if colour_order != 'RGB':
        steps.convert_color(ColorFormat.RGB)
    return processor.build()


def compress_largest(model: Any, count: int) -> tuple[Any, float]:
    """Stores the largest constants in half precision.

    Args:
      model: An `openvino.Model`.
      count: How many constants; at most `count_constants(model)`.

    Returns:
      A copy that converts the constants back to float32 where they are read, and the share of the
      weights that it stores in half precision, in [0, 1].
    """
    ov = import_openvino()
    opset = ov.opset13
    model = model.clone()
    constants = sorted(_constants(model), key=lambda node: -node.data.size)
    for node in constants[:count]:
        readers = node.output(0).get_target_inputs()
        half = opset.constant(node.data.astype(np.float16), name=node.get_friendly_name())
        single = opset.convert(half, 'f32')
        for reader in readers:
            reader.replace_source_output(single.output(0))
    sizes = [node.data.size for node in constants]
    return model, share_of_largest(sizes, count)


def count_constants(model: Any) -> int:
    """How many constants `compress_largest` can compress."""
    return len(_constants(model))


def _constants(model: Any) -> list[Any]:
    return [
        node
        for node in model.get_ops()
        if node.get_type_name() == 'Constant'
        and node.get_element_type().get_type_name() == 'f32'
        and node.data.size > 1
    ]


def write_openvino(model: Any, path: Path, *, metadata: str) -> None:
    """Writes an IR, the network (.xml) and the weights beside it (.bin), in their precision.

    Args:
      model: An `openvino.Model`.
      path: The .xml file.
      metadata: JSON with the signature, kept in the model's runtime information.

    Raises:
      OSError: It cannot be written.
    """
    ov = import_openvino()
    model.set_rt_info(metadata, [METADATA_KEY])
    try:
        ov.save_model(model, path, compress_to_fp16=False)  # the default would compress
    except RuntimeError as error:
        # It gives no reason, and takes away what it has written; writing as much gives one.
        constants = [node for node in model.get_ops() if node.get_type_name() == 'Constant']
        path.write_bytes(bytes(_MOST_TEXT + sum(node.data.nbytes for node in constants)))
        raise OSError(errno.EIO, str(error), str(path)) from error
