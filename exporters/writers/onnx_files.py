"""ONNX of one size and of any, and of one size in half precision and in eight bits."""

from __future__ import annotations

import dataclasses
from typing import Any

from exporters.artefacts import TOLERANCES, Artefact
from exporters.onnx_graph import conversion, half_precision, quantization
from exporters.precision.within_tolerance import compress_within
from exporters.writers.job import Job
from mattingjax.inference.sessions import METADATA_KEY, OnnxSession
from mattingjax.inference.signature import Signature
from mattingjax.process.scratch import scratch_folder

_RUNTIMES = ('onnxruntime', 'openvino')


def write_onnx(job: Job, model: Any) -> list[Artefact]:
    """Writes model.onnx and model_dynamic.onnx, model_fp16.onnx, model_int8.onnx.

    Args:
      job: The export; its precisions say which are written.
      model: An `onnx.ModelProto` as `conversion.create_onnx` returns it.
    """
    fixed = conversion.fix_size(model)
    artefacts = []
    for precision in job.options.precisions:
        if precision == 'fp32':
            artefacts.append(_write(job, 'model', 'ONNX', fixed))
            artefacts.append(_write_dynamic(job, model))
        elif precision == 'fp16':
            half, share = compress_within(
                fixed,
                half_precision.compress_largest,
                half_precision.count_constants(fixed),
                lambda model: _difference(job, model),
                TOLERANCES['fp16'] / 2,
            )
            details = {'share_of_weights_in_fp16': round(share, 4)}
            artefacts.append(_write(job, 'model_fp16', 'ONNX', half, precision, details))
        else:
            assert job.calibration is not None, 'ExportOptions demands photos for int8'
            quantized, details = quantization.quantize_onnx(model, job.calibration.batches)
            details = {'accuracy_control': False, **details}
            artefacts.append(_write(job, 'model_int8', 'ONNX, QDQ', quantized, precision, details))
    return artefacts


def _write_dynamic(job: Job, model: Any) -> Artefact:
    free = dataclasses.replace(job.signature, shape=(0, 0, 0, 3))
    made = conversion.free_size(model)
    return _write(job, 'model_dynamic', 'ONNX, any size', made, signature=free)


def _difference(job: Job, model: Any) -> float:
    with scratch_folder() as folder:
        path = folder / 'model.onnx'
        path.write_bytes(conversion.finish_onnx(model, {}))
        return job.difference(OnnxSession(path))


def _write(
    job: Job,
    name: str,
    kind: str,
    model: Any,
    precision: str = 'fp32',
    details: dict[str, Any] | None = None,
    signature: Signature | None = None,
) -> Artefact:
    signature = signature or job.signature
    path = job.folder / f'{name}.onnx'
    metadata = {METADATA_KEY: job.metadata(precision, signature)}
    path.write_bytes(conversion.finish_onnx(model, metadata))
    details = {'opset': conversion.OPSET, **(details or {})}
    return Artefact(path, kind, precision, signature, _RUNTIMES, details)
