"""ONNX models in 8 bits for ONNX Runtime, as pairs of QuantizeLinear and DequantizeLinear (QDQ)."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporters.artefacts import group_by_kind
from exporters.onnx_graph import normalisation, resizing, widening
from exporters.onnx_graph.editor import OnnxEditor
from exporters.onnx_graph.equalization import equalize_channels
from exporters.onnx_graph.photo_passes import Levels, prepare_photo
from exporters.onnx_graph.weights import list_photo_weights, round_weights
from exporters.precision.calibration import check_count
from mattingjax.errors import MattingError
from mattingjax.process.packages import import_onnxruntime
from mattingjax.process.scratch import scratch_folder

# What ONNX Runtime computes in 8 bits. An activation goes into the range of what it follows.
_QUANTISED = ('Conv', 'Relu', 'Clip', 'Add', 'Concat', 'Resize')


def quantize_onnx(model: Any, calibration: Sequence[np.ndarray]) -> tuple[Any, dict[str, Any]]:
    """Quantises the convolutions of a model, and what lies between them, to 8 bits.

    Weights become int8, each output channel with a scale of its own, and activations uint8, whose
    ranges are the means of the calibration images' smallest and largest values. Input and output
    stay float32.

    Args:
      model: An `onnx.ModelProto` as `conversion.create_onnx` returns it, which is not changed; the
        result is of its size alone.
      calibration: Photos as the model takes them, float32 [N, H, W, 3]; at most `MAX_PHOTOS`.

    Returns:
      The quantised model, without metadata, for `conversion.finish_onnx`; and what stays in
      floating point, JSON types: under `in_floating_point` kind of node → names, and the share of
      the multiply-accumulates that is done in 8 bits.

    Raises:
      MattingError: There are no images or too many, or one is not of the model's shape.
    """
    from onnx import shape_inference

    _check_calibration(model, calibration)
    prepared = type(model).FromString(model.SerializeToString())
    resizing.convolve_before_enlarging(prepared)
    resizing.multiply_narrow_resizes(prepared)
    normalisation.split_norms(prepared)
    levels = prepare_photo(prepared)
    widening.widen_convolutions(prepared)
    equalize_channels(prepared, calibration)
    prepared = shape_inference.infer_shapes(prepared, strict_mode=True)
    excluded = _nodes_to_exclude(prepared)
    of_photo = list_photo_weights(prepared)
    round_weights(prepared, excluded, of_photo)
    quantised = _quantize(prepared, calibration, excluded, levels, of_photo)
    _shorten_names(quantised)
    return quantised, _describe(prepared, excluded)


def _check_calibration(model: Any, calibration: Sequence[np.ndarray]) -> None:
    (source,) = model.graph.input
    shape = tuple(side.dim_value for side in source.type.tensor_type.shape.dim)
    check_count(calibration)
    for images in calibration:
        if images.shape != shape or images.dtype != np.float32:
            raise MattingError(
                f'calibration: expected float32 {list(shape)}, found '
                f'{images.dtype} {list(images.shape)}'
            )


def _nodes_to_exclude(model: Any) -> list[str]:
    """Names of nodes of a quantised kind that stay in floating point.

    These are the last convolution, whose output is nearly the alpha; the sum with its bias of a
    product with interpolation matrices; and what joins normalised channels with others.
    """
    editor = OnnxEditor(model)
    names = [node.name for node in _last_convolutions(editor)]
    for node in editor.nodes:
        if node.op_type == 'Concat':
            parts = (editor.producer(name, 'InstanceNormalization') for name in node.input)
            if any(part is not None for part in parts):
                names.append(node.name)
        elif node.op_type == 'Add' and any(editor.constant(x) is not None for x in node.input):
            names.append(node.name)
    return names


def _last_convolutions(editor: OnnxEditor) -> Iterator[Any]:
    """The convolutions from which no other is on the way to the output."""
    waiting, seen = [value.name for value in editor.model.graph.output], set()
    while waiting:
        node = editor.producer(name := waiting.pop(), shared=True)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type == 'Conv':
            yield node
        else:
            waiting += node.input


def _describe(model: Any, excluded: list[str]) -> dict[str, Any]:
    editor = OnnxEditor(model)
    floating = []
    work = {True: 0, False: 0}
    for node in editor.nodes:
        quantised = node.op_type in _QUANTISED and node.name not in excluded
        if not quantised:
            floating.append((node.op_type, node.name))
        if node.op_type == 'Conv':
            taps = editor.constant(node.input[1])
            assert taps is not None
            work[quantised] += math.prod(editor.shape(node.output[0])) * math.prod(taps.shape[1:])
    share = work[True] / max(1, sum(work.values()))
    return {
        'share_of_convolutions_in_int8': round(share, 4),
        'in_floating_point': group_by_kind(floating),
    }


def _quantize(
    model: Any,
    calibration: Sequence[np.ndarray],
    excluded: list[str],
    levels: Levels | None,
    of_photo: list[str],
) -> Any:
    import_onnxruntime()
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quant_utils, quantize_static

    source = model.graph.input[0].name
    halved = {'quant_type': QuantType.QInt8, 'axis': 0, 'symmetric': True, 'reduce_range': True}
    known: dict[str, list[dict[str, Any]]] = {name: [dict(halved)] for name in of_photo}
    if levels is not None:
        known[levels.name] = [
            {
                'scale': np.array(levels.scale, np.float32),
                'zero_point': np.array(levels.zero, np.uint8),
            }
        ]
    quant_utils.add_pre_process_metadata(model)  # or it logs that it would like to simplify it
    with scratch_folder() as folder, _temporary_files_in(folder):
        path = folder / 'model.onnx'
        # It moves the weights of a model that it is given out of it, hence a file.
        onnx.save(model, path)
        quantize_static(
            path,
            path.with_name('quantised.onnx'),
            _Reader(source, calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_exclude=excluded,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # The mean of each photo's ends: one odd photo would widen the steps of all others.
            extra_options={'TensorQuantOverrides': known, 'CalibMovingAverage': True},
        )
        quantised = onnx.load(path.with_name('quantised.onnx'))
    del quantised.metadata_props[:]
    used = {node.domain for node in quantised.graph.node}
    opsets = [item for item in quantised.opset_import if item.domain in used]
    del quantised.opset_import[:]
    quantised.opset_import.extend(opsets)
    return quantised


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Within it, other libraries' temporary files lie in a folder, and go with it on Ctrl-C."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _shorten_names(model: Any) -> None:
    """Numbers the tensors: names of 60 letters are a third of a small network's file."""
    graph = model.graph
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    for name in [tensor.name for tensor in graph.initializer]:
        names.setdefault(name, f't{len(names)}')
    for node in graph.node:
        for name in node.output:
            names.setdefault(name, f't{len(names)}')
    names[''] = ''
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        if node.op_type in ('QuantizeLinear', 'DequantizeLinear'):
            node.ClearField('name')
    del graph.value_info[:]


class _Reader:
    """Gives ONNX Runtime one image after the other."""

    def __init__(self, name: str, images: Sequence[np.ndarray]):
        self._name, self._images = name, iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        images = next(self._images, None)
        return None if images is None else {self._name: images}
