"""OpenVINO IR in every precision, and with preprocessing inside."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from exporters.artefacts import TOLERANCES, Artefact
from exporters.onnx_graph import conversion
from exporters.openvino_graph import conversion as openvino_conversion
from exporters.openvino_graph import quantization
from exporters.openvino_graph.floating_point import list_float_operations
from exporters.openvino_graph.preparation import prepare_onnx
from exporters.precision.within_tolerance import compress_within
from exporters.writers.job import Job
from mattingjax.inference.sessions import OpenVinoSession
from mattingjax.inference.signature import Signature
from mattingjax.process.reading import hash_file

_KIND = 'OpenVINO IR'


def write_openvino(job: Job, model: Any) -> list[Artefact]:
    """Writes model.xml, model_fp16.xml, model_int8.xml, as the export's precisions say.

    Args:
      job: The export.
      model: An `onnx.ModelProto` as `conversion.create_onnx` returns it.
    """

    @functools.cache
    def whole() -> Any:
        return openvino_conversion.convert_onnx(
            conversion.finish_onnx(conversion.fix_size(model), {})
        )

    artefacts = []
    for precision in job.options.precisions:
        details: dict[str, Any] = {}
        if precision == 'int8':
            name = 'model_int8.xml'
            ir, details['accuracy_control'] = _quantize(job, model)
            details['in_floating_point'] = list_float_operations(ir)
        else:
            name, ir, share = 'model.xml', whole(), 0.0
            if precision == 'fp16':
                name = 'model_fp16.xml'
                ir, share = compress_within(
                    whole(),
                    openvino_conversion.compress_largest,
                    openvino_conversion.count_constants(whole()),
                    lambda model: job.difference(OpenVinoSession(model)),
                    TOLERANCES['fp16'] / 2,
                )
            details['share_of_weights_in_fp16'] = round(share, 4)
        artefacts.append(_write(job, job.folder / name, ir, _KIND, precision, details))
    return artefacts


def _quantize(job: Job, model: Any) -> tuple[Any, bool]:
    """Quantises the model; with true alphas some of it stays in float32 if it loses too much.

    Returns:
      The IR, and whether NNCF chose what stays.
    """
    calibration = job.calibration
    assert calibration is not None, 'ExportOptions demands photos for int8'
    is_photo = job.signature.scaling_inside
    prepared = prepare_onnx(model, is_photo=is_photo)
    ir = openvino_conversion.convert_onnx(conversion.finish_onnx(prepared, {}))
    quantized = quantization.quantize_ir(ir, calibration.batches, is_photo=is_photo)
    controlled = (
        calibration.has_alphas
        and calibration.excess(OpenVinoSession(quantized)) > calibration.limit
    )
    if controlled:
        quantized = quantization.quantize_ir_with_control(ir, calibration, is_photo=is_photo)
    return quantized, controlled


def write_openvino_uint8(job: Job, model: Any) -> Artefact:
    """Writes model_uint8.xml, FP32, which takes uint8 frames of any size.

    Args:
      job: The export.
      model: An `onnx.ModelProto` as `conversion.create_onnx` returns it.
    """
    colour_order = job.options.embed_preprocessing
    assert colour_order is not None
    content = conversion.finish_onnx(conversion.fix_size(model), {})
    ir = openvino_conversion.embed_preprocessing(
        openvino_conversion.convert_onnx(content), colour_order
    )
    batch = job.signature.shape[0]
    frames = dataclasses.replace(
        job.signature,
        shape=(batch, 0, 0, 3),
        dtype='uint8',
        resize_inside=True,
        colour_order=colour_order,
    )
    kind = f'{_KIND}, preprocessing embedded'
    return _write(job, job.folder / 'model_uint8.xml', ir, kind, 'fp32', {}, frames)


def _write(
    job: Job,
    path: Path,
    ir: Any,
    kind: str,
    precision: str,
    details: dict[str, Any],
    signature: Signature | None = None,
) -> Artefact:
    signature = signature or job.signature
    openvino_conversion.write_openvino(ir, path, metadata=job.metadata(precision, signature))
    weights = path.with_suffix('.bin')
    details = details | {
        'weights': weights.name,
        'weights_bytes': weights.stat().st_size,
        'weights_sha256': hash_file(weights),
    }
    return Artefact(path, kind, precision, signature, ('openvino',), details)
